"""Reading what the server sends on its own, for a time or up to a number of messages.

Each message is a call of its own that has no response time, so the row's rate is the rate of the
messages, and a check sees each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from protouser._call import Call, now
from protouser._errors import CallSkipped, CallTimeout, ConfigurationError, ProtouserError
from protouser._message_source import MessageSource
from protouser._reader import Match

__all__ = ["GAP", "Consumption"]

#: The series of the time from one message to the next.
GAP = "gap"


class Consumption:
    """How long, or how many, and what has come so far.

    Args:
        source: where messages come from.
        measure: makes the call of a message; None where messages are no calls.
        for_: seconds after which it ends in silence; None for no such end.
        count: how many messages it takes; None for any number.
        timeout: seconds in which ``count`` messages have to come, where there is no ``for_``.

    Raises:
        ConfigurationError: there is no end to it.
    """

    def __init__(
        self,
        source: MessageSource[Any],
        measure: Callable[[], Call] | None,
        for_: float | None,
        count: int | None,
        timeout: float | None,
    ) -> None:
        self._source = source
        self._measure = measure
        self._count = count
        self._ends_in_silence = for_ is not None
        self._limit = timeout if for_ is None else for_
        self._found: list[Any] = []
        self._previous: float | None = None

    @staticmethod
    def check(for_: Any, count: Any) -> None:
        """Refuse what has no end."""
        if for_ is None and count is None:
            raise ConfigurationError("consume() never ends; give it for_=seconds or count=number")
        if for_ is not None and not (isinstance(for_, int | float) and for_ >= 0):
            raise ConfigurationError(f"for_={for_!r} is no number of seconds")
        if count is not None and (type(count) is not int or count < 0):
            raise ConfigurationError(f"count={count!r} is no number of messages")

    def run(self, match: Match | None) -> list[Any]:
        """Read to the end of it; the messages."""
        began = now()
        while self._count is None or len(self._found) < self._count:
            if self._ends_in_silence and self._found and self._is_over(began):
                break
            call = None if self._measure is None else self._measure()
            try:
                message, at, _ = self._source.inbox.get(
                    self._limit, began, f"{self._count} messages", match=match
                )
            except CallTimeout as error:
                if self._ends_in_silence:
                    break
                self._fail(call, error)
                raise
            except ProtouserError as error:
                self._fail(call, error)
                raise
            self._take(call, message, at)
        return self._found

    def _is_over(self, began: float) -> bool:
        return self._limit is not None and now() - began >= self._limit

    def _take(self, call: Call | None, message: Any, at: float) -> None:
        if call is None:
            self._found.append(message)
            return
        self._source.served = True
        previous, self._previous = self._previous, at
        with suppress(CallSkipped), call:  # a message that a hook vetoed is read, and not returned
            if previous is not None:
                call.spend(GAP, max(at - previous, 0.0))
            call.response = message
            call.response_length = self._source.length_of(message)
            self._found.append(message)

    def _fail(self, call: Call | None, error: ProtouserError) -> None:
        self._source.note_end(error)
        if call is not None:
            call.begin().end(error)
