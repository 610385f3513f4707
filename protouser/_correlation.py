"""Replies that name the request they answer, so that many can be in flight on one connection.

An id is taken out of each request and of each message that comes, and a dict leads from the id to
the request. The ids of the past are remembered, so that a second reply, or one that comes after its
request was given up, is known for what it is: it is counted and goes to nobody. How many are
remembered is bounded; a message with an id that is not known is no reply but a push.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from protouser._errors import ConfigurationError
from protouser._reader import Match, Reader
from protouser._request import Request

__all__ = ["Correlate", "CorrelatedRequest", "Correlation", "Tally"]

Message = TypeVar("Message")
#: Counts something about the messages of a row, once or so often; without a name they are those
#: nobody asked for.
Tally = Callable[..., object]

#: Ids that had their reply are remembered for at least so many further ones.
_MOST_ANSWERED: Final = 1_000
_MOST_GIVEN_UP: Final = 10_000


class Correlate(NamedTuple):
    """How the id of a request and that of a message are found; None is no id."""

    of_request: Callable[[Any], Any]
    of_message: Callable[[Any], Any]

    @classmethod
    def of(cls, given: Any) -> Correlate | None:
        """What ``correlate=`` says: a function for both sides, a pair of them, or nothing.

        Raises:
            ConfigurationError: it is something else.
        """
        if given is None or given is False:
            return None
        if callable(given):
            return cls(given, given)
        if isinstance(given, tuple) and len(given) == 2 and all(map(callable, given)):
            return cls(*given)
        raise ConfigurationError(
            f"correlate={given!r}; it is a function that finds the id in a request and in a"
            " message, or a pair of functions, one for each"
        )

    def id_of(self, request: Any) -> Hashable:
        """The id of a request; None where it has none.

        Raises:
            ConfigurationError: what was found cannot be looked up.
        """
        number = self.of_request(request)
        try:
            hash(number)
        except TypeError:
            raise ConfigurationError(
                f"correlate= found a {type(number).__name__}, which cannot be an id; text, bytes"
                " and numbers can"
            ) from None
        return number  # type: ignore[no-any-return]


class CorrelatedRequest(Request):
    """A request whose reply has its id.

    Attributes:
        correlate: how that id is found; None where another way leads to the reply.
    """

    __slots__ = ("correlate",)

    def __init__(
        self, payload: Any, timeout: float | None, match: Match | None, correlate: Correlate | None
    ) -> None:
        super().__init__(payload, timeout, match)
        self.correlate = correlate


class Correlation(Generic[Message]):
    """The requests in flight whose replies one function tells apart.

    Attributes:
        pending: the requests that wait for their reply, by id.
        fault: the name of what the function raised last; empty where it never did.
    """

    def __init__(self, identify: Callable[[Any], Any], tally: Tally) -> None:
        self.pending: dict[Hashable, Reader[Message]] = {}
        self.fault = ""
        self._identify = identify
        self._tally = tally
        self._answered: dict[Hashable, str] = {}
        self._answered_before: dict[Hashable, str] = {}
        self._given_up: OrderedDict[Hashable, str] = OrderedDict()

    def add(self, reader: Reader[Message]) -> None:
        """A request waits from now on.

        Raises:
            ConfigurationError: one with its id does already.
        """
        number = reader.number
        if number in self.pending:
            raise ConfigurationError(
                "a request with the same id is in flight on this connection; give each its own"
            )
        self._given_up.pop(number, None)
        reader.correlation = self
        self.pending[number] = reader

    def awaits(self, message: Message) -> bool:
        """True when a request waits for the id of a message."""
        try:
            return self._identify(message) in self.pending
        except Exception:  # noqa: BLE001  the user's function, as in take
            return False

    def take(self, message: Message, at: float) -> bool:
        """Give a message to the request that it answers; False when it is no reply."""
        try:
            number = self._identify(message)
            reader = self.pending.get(number)
        except Exception as error:  # noqa: BLE001  the user's function, on what may be a push
            self.fault = type(error).__name__
            return False
        if reader is None:
            return number is not None and self._is_stale(number)
        if reader.match is not None:
            try:
                if not reader.match(message):
                    return False
            except BaseException as error:  # noqa: BLE001  the user's predicate: his call fails by it
                self.give_up(reader)
                reader.refuse(error)
                return True
        del self.pending[number]
        self._remember(number, reader.row)
        reader.answer(message, at)
        return True

    def give_up(self, reader: Reader[Message]) -> None:
        """A request does not wait any more; its reply will be late."""
        if reader.done:
            if reader.error is None:  # it came, and was not read
                self._tally("late replies", reader.row)
            return
        if self.pending.get(reader.number) is reader:
            del self.pending[reader.number]
            self._given_up[reader.number] = reader.row
            if len(self._given_up) > _MOST_GIVEN_UP:
                self._given_up.popitem(last=False)

    def _is_stale(self, number: Hashable) -> bool:
        row = self._given_up.pop(number, None)
        if row is not None:
            self._remember(number, row)
            self._tally("late replies", row)
            return True
        row = self._answered.get(number) or self._answered_before.get(number)
        if row is None:
            return False
        self._tally("duplicate replies", row)
        return True

    def _remember(self, number: Hashable, row: str) -> None:
        self._answered[number] = row
        if len(self._answered) >= _MOST_ANSWERED:
            self._answered_before, self._answered = self._answered, {}
