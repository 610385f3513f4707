"""The functions that find ids on one connection, and which of them a message belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, Final, Generic, TypeVar

from protouser._correlation import Correlation, Tally
from protouser._reader import Reader

__all__ = ["Correlations"]

Message = TypeVar("Message")

#: Functions that find ids, of one connection; lambdas written in a task are one each line.
_MOST: Final = 8


class Correlations(Generic[Message]):
    """One correlation for each function that finds ids.

    Attributes:
        known: those that there are.
    """

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[object, Correlation[Message]] = {}

    def of(self, identify: Callable[[Any], Any], tally: Tally) -> Correlation[Message]:
        """That of a function, made with its first use; of many an idle one makes way."""
        key = _same(identify)
        found = self.known.get(key)
        if found is None:
            idle = [key for key, known in self.known.items() if not known.pending]
            if len(self.known) >= _MOST and idle:
                del self.known[idle[0]]
            found = self.known[key] = Correlation(identify, tally)
        return found

    def take(self, message: Message, at: float) -> bool:
        """Give a message to the request that it answers; False when it is no reply."""
        correlations = self.known.values()
        if len(correlations) == 1:
            return next(iter(correlations)).take(message, at)
        # what one function knows as an id of the past may be what a request under another waits for
        awaiting = [correlation for correlation in correlations if correlation.awaits(message)]
        return any(correlation.take(message, at) for correlation in awaiting or list(correlations))

    def readers(self) -> Iterator[Reader[Message]]:
        """Whoever waits for a reply."""
        for correlation in self.known.values():
            yield from correlation.pending.values()


def _same(function: Callable[[Any], Any]) -> object:
    """One key for a function that a task defines anew each time, as a lambda in its call is."""
    if isinstance(function, FunctionType) and not (function.__closure__ or function.__defaults__):
        return function.__code__
    return function
