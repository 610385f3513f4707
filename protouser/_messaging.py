"""The calls that wait for messages, the same on every protocol: a mix-in over a message source.

A push has no response time: nothing of ours began it. So ``receive``, ``receive_until`` and
``consume`` count, and say how long was waited as a series. ``expect`` and ``sequence`` are samples:
they begin with what the task does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from protouser._call import Call
from protouser._checks import Check
from protouser._consumption import Consumption
from protouser._errors import ConfigurationError
from protouser._expectation import Expectation
from protouser._message_source import MessageSource
from protouser._reader import Match
from protouser._request import Request
from protouser._sequence import Sequence, Step

if TYPE_CHECKING:
    from protouser._client import CallOptions

__all__ = ["Messaging", "seconds"]


class Messaging:
    """What waits for messages. Whoever mixes it in says where they come from.

    Attributes:
        timeout: seconds that a call may take where it does not say.
    """

    timeout: float | None
    perform: Callable[..., Any]
    measure: Callable[..., Call]

    def readable(self) -> MessageSource[Any]:
        """Where messages come from; connects anew where nothing can come any more."""
        raise NotImplementedError

    def row_of(self, verb: str) -> str:
        """The row of a call that was given no name."""
        return verb

    def receive(
        self,
        *,
        match: Match | None = None,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """The next message that the server sends on its own; counted, without a response time.

        The next for which ``match`` is true, where given; others are kept, in their order. How
        long it was waited for is the series "wait".

        Raises:
            CallTimeout: none came within ``timeout`` seconds.
            ConnectFailed: the server cannot be reached.
            ConnectionLost: the connection ended first.
        """
        source = self.readable()
        limit = self.timeout if timeout is None else seconds(timeout)
        return self.perform(
            self.row_of("receive"),
            source.receive,
            request=Request(None, limit, match),
            **options,
            one_way=True,
        )

    def receive_until(
        self,
        match: Match,
        *,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """The list of all messages up to the next for which ``match`` is true, that one included.

        Counted as one, without a response time; how long it was waited for is the series "wait",
        and the number of messages the counter "messages". Where the last one does not come, those
        before it stay for other calls.

        Raises:
            CallTimeout: none that matches came within ``timeout`` seconds.
            ConnectFailed: the server cannot be reached.
            ConnectionLost: the connection ended first.
        """
        source = self.readable()
        limit = self.timeout if timeout is None else seconds(timeout)
        return self.perform(
            self.row_of("receive_until"),
            source.receive_until,
            request=Request(None, limit, match),
            **options,
            one_way=True,
        )

    def consume(
        self,
        *,
        for_: float | None = None,
        count: int | None = None,
        match: Match | None = None,
        timeout: float | None = None,
        name: str | None = None,
        check: Check | None = None,
        context: dict[str, Any] | None = None,
    ) -> list[Any]:
        """The list of the messages that come for so many seconds, or until there are ``count``.

        Each is counted in the row, without a response time, and each is checked; so the row's rate
        is that of the messages. The time from one to the next is the series "gap". With ``match``
        only those that match, others are kept. ``for_`` ends in silence, however many came.

        Raises:
            CallTimeout: ``count`` messages did not come within ``timeout`` seconds; that is one
                failure, and those that came were counted.
            ConnectFailed: the server cannot be reached.
            ConnectionLost: the connection ended first.
        """
        Consumption.check(for_, count)
        limit = self.timeout if timeout is None else seconds(timeout)
        row = name or self.row_of("consume")
        asked = Request(None, limit, match)
        measure = partial(
            self.measure, row, request=asked, check=check, context=context, one_way=True
        )
        return Consumption(self.readable(), measure, for_, count, limit).run(match)

    def expect(
        self,
        match: Match | None = None,
        *,
        timeout: float | None = None,
        name: str | None = None,
        check: Check | None = None,
        context: dict[str, Any] | None = None,
    ) -> Expectation:
        """Ask for a message that something else will trigger: one sample, from now to its arrival.

        As a context manager it waits at the end of the block, and has the ``message`` then. Without
        one, it is waited for with ``wait()``. ``timeout`` counts from now.
        """
        source = self.readable()
        limit = self.timeout if timeout is None else seconds(timeout)
        call = self.measure(
            name or self.row_of("expect"),
            request=Request(None, limit, match),
            check=check,
            context=context,
        )
        return Expectation(call, source)

    def sequence(self, *steps: Step | Match, name: str | None = None) -> Sequence:
        """Ask for messages that come one after the other: a sample for each.

        It begins with the arrival of the one before, and the first one now. A step is
        ``expected(match, timeout=..., name=...)`` or a match alone. Messages in between are kept.
        As a context manager it waits at the end of the block; without one, ``wait()`` does. The
        rows are "sequence 1", "sequence 2" where neither it nor the step has a name.
        """
        row = name or self.row_of("sequence")
        return Sequence(self.measure, self.readable(), steps, row, self.timeout)


def seconds(timeout: Any) -> float:
    """A number of seconds that a call was given.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(timeout, int | float) and timeout >= 0:
        return timeout
    raise ConfigurationError(f"timeout={timeout!r} is no number of seconds")
