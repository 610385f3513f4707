"""One wait for one message: who waits, what for, until when, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from greenlet import getcurrent

from protouser._errors import CallTimeout
from protouser._waiting import Waiter

if TYPE_CHECKING:
    from protouser._correlation import Correlation

__all__ = ["NEVER", "OVERDUE", "Match", "Reader"]

Message = TypeVar("Message")
Match = Callable[[Any], object]

NEVER: Final = float("inf")
#: The error of who waited too long; a sign for ``refusal``, which is told how long that was.
OVERDUE: Final = CallTimeout("overdue")


class Reader(Waiter, Generic[Message]):
    """One wait for one message. What is mostly not set costs nothing per wait.

    Attributes:
        message: what came, at ``at``; or ``error``, why nothing did.
        match: takes only a message for which this is true.
        after: takes only a message that arrived at this ``now()`` value or later.
        deadline: the ``now()`` value at which the wait is over.
        correlation: where it waits for the reply with the id ``number``; None where any will do.
        row: the name of the call that waits, for what is counted about its reply.
        left: nobody will read what came.
        following: who is to wait from when this one has its message.
    """

    message: Message
    at: float
    match: Match | None = None
    after = -NEVER
    deadline = NEVER
    error: BaseException | None = None
    correlation: Correlation[Any] | None = None
    number: Hashable = None
    row = ""
    left = False
    following: Reader[Message] | None = None

    def answer(self, message: Message, at: float) -> None:
        """This is what was waited for."""
        self.message = message
        self.at = at
        greenlet = self._greenlet
        if greenlet is not None and getcurrent() is self._hub:  # as nearly always
            self.done = True
            greenlet.switch()
        else:
            self.wake()

    def refuse(self, error: BaseException) -> None:
        """What was waited for will not come."""
        self.error = error
        self.wake()

    def refusal(self, awaited: str, timeout: float | None) -> BaseException:
        """What to raise where it did not come: the error, or how long the ``awaited`` one took."""
        error = self.error
        assert error is not None
        if error is not OVERDUE:
            return error.with_traceback(None)
        fault = "" if self.correlation is None else self.correlation.fault
        about = fault and f"; correlate= raised {fault} on a message that came"
        return CallTimeout(f"no {awaited} within {timeout:g} s{about}")

    @property
    def waits(self) -> bool:
        """True while a greenlet waits here, and did not only ask."""
        return self._greenlet is not None
