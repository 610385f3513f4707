"""A call: the measured interval between a user and a backend, reported exactly once.

The way of a call is: before-hooks, clock, the user's block (codec, I/O), clock, check,
after-hooks, outcome, and then one record in our figures and one event in Locust's. A verdict that
was given stands, whatever is raised after it.

A call may end in a native thread (an asyncio task, a callback of a C library). Only the clock is
read there; checks, after-hooks and the event run in the hub's thread, where Locust lives.
"""

from __future__ import annotations

from locust.exception import CatchResponseError

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from gevent.monkey import get_original

from protouser._assertions import subject_of
from protouser._checks import Check, run_check
from protouser._clock import now, time_of_day
from protouser._errors import CallSkipped, ProtouserError
from protouser._figures import CANCELLED, FAILURE, SKIPPED, SUCCESS
from protouser._outcome import Verdict, expects, is_result
from protouser._reporting import conclude, report
from protouser._steering import steers_locust

if TYPE_CHECKING:
    from protouser._session import Session
    from protouser._user import ProtocolUser

__all__ = ["HOOKS", "Call", "now", "time_of_day"]

get_thread_ident: Callable[[], int] = get_original("_thread", "get_ident")

#: The series of the time that the hooks of a call took.
HOOKS: Final = "hooks"

#: How a call lives: in a ``with`` block, past it, done and waiting for a verdict, or left early.
_IN_BLOCK: Final = "in block"
_KEPT: Final = "kept"
_HELD: Final = "held"
_LEFT: Final = "left"


class Call:
    """One exchange with the backend: times itself, and reports exactly once.

    Use it as a context manager; an exception that leaves the block fails the call and goes on.

    Attributes:
        name: the row in Locust's table; a before-hook may change it.
        type: Locust's "Type" column.
        request: what is about to be sent, for before-hooks to change: a ``Request`` of a client's
            calls, the ``Arguments`` of one by ``timed``, else what ``measure`` was given.
        response: the result; set it and checks, hooks and listeners can see it.
        request_length: bytes sent, where known.
        response_length: bytes received; ``len(response)`` where it was not set.
        one_way: the call has no answer: it is counted, and has no response time.
        context: merged over ``User.context()`` in the event.
        user: the ``ProtocolUser``, or None outside Locust.
        error: the exception that the call met, where it met one.
        peer: where a "connect" goes, for traces; other calls have none.
    """

    __slots__ = (
        "_check",
        "_end",
        "_hook_seconds",
        "_hooks",
        "_hooks_of_row",
        "_lateness",
        "_mode",
        "_reported",
        "_session",
        "_spent",
        "_start",
        "_verdict",
        "context",
        "error",
        "name",
        "one_way",
        "peer",
        "request",
        "request_length",
        "response",
        "response_length",
        "type",
        "user",
    )

    peer: str
    #: Of calls with hooks alone, once they are asked: those of its row, and their time so far.
    _hooks_of_row: Any
    _hook_seconds: float

    def __init__(
        self,
        session: Session,
        type_: str,
        name: str,
        user: ProtocolUser | None = None,
        request: Any = None,
        check: Check | None = None,
        context: dict[str, Any] | None = None,
        one_way: bool = False,
    ) -> None:
        self._session = session
        self.type = type_
        self.name = name
        self.user = user
        self.request = request
        self.context = context
        self._check = check
        self.one_way = one_way
        if user is None:
            self._hooks = self._lateness = None
        else:
            self._hooks = user._hooks
            iteration = user._iteration
            self._lateness = None if iteration is None else iteration.lateness_of_call(one_way)
        self.response: Any = None
        self.request_length: int | None = None
        self.response_length: int | None = None
        self.error: BaseException | None = None
        self._end: float | None = None
        self._verdict: Verdict | None = None
        self._spent: list[tuple[str, float]] | None = None
        self._mode = _IN_BLOCK
        self._reported = False

    def __enter__(self) -> Self:
        if self._mode is _HELD:
            return self
        if self._reported:
            raise ProtouserError(f"the call {self.name!r} is over; ask measure() for a new one")
        if self._hooks is None:
            self._start = now()
        else:
            self._hooks.before(self)
            if self._verdict is not None:
                self._heed_veto()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if self._end is None:
            self._end = now()
        if error is None:
            if self._mode is _HELD:
                self._leave_held_block()
            else:
                self._settle(None)
            return False
        if self._mode is _HELD and self.error is not None and self._blames_block(error):
            self._settle(self.error)
            raise self.error
        self._settle(error)
        return expects(self._check, error)

    def run(self, work: Callable[[Call], Any]) -> Any:
        """Do ``work(call)`` as in a block, and return its result.

        The calls of clients come this way: without an error it costs less than a ``with``.
        """
        if self._hooks is None:
            self._start = now()
        else:
            self._hooks.before(self)
            if self._verdict is not None:
                self._heed_veto()
        try:
            self.response = work(self)
        except BaseException as error:
            if not self.__exit__(type(error), error, error.__traceback__):
                raise
            return self.response
        if self._end is None:
            self._end = now()
        self._settle(None)
        return self.response

    def success(self) -> None:
        """The call is a success, whatever its check would say; the last verdict holds."""
        self._verdict = (SUCCESS, None)

    def failure(self, reason: str | BaseException) -> None:
        """The call failed for this reason; use few distinct reasons, each is a row in a table."""
        error = reason if isinstance(reason, BaseException) else CatchResponseError(str(reason))
        self._verdict = (FAILURE, error)

    def skip(self, reason: str = "") -> None:
        """The call is not to be made: counted apart, in no percentile; for before-hooks."""
        self._verdict = (SKIPPED, CallSkipped(f"{self.name} was skipped: {reason or 'no reason'}"))

    def mark(self, phase: str, at: float | None = None) -> None:
        """A phase was reached (now, or at a ``now()`` value): a series from the start to here."""
        self.spend(phase, (now() if at is None else at) - self._start)

    def spend(self, series: str, seconds: float) -> None:
        """Record a duration under a series of this call, such as waiting for a pool slot."""
        if self._spent is None:
            self._spent = []
        self._spent.append((series, seconds))

    def start(self, at: float | None = None) -> None:
        """The measured interval starts now (or at a ``now()`` value), not on entry of the block."""
        self._start = now() if at is None else at

    def stop(self, at: float | None = None) -> None:
        """The measured interval ends now (or at a ``now()`` value); what follows is not timed."""
        self._end = now() if at is None else at

    def end(self, error: BaseException | None = None) -> None:
        """End a call that ``begin`` started, from any greenlet, callback or native thread.

        ``error`` is what went wrong, if anything did. Ending a call twice does nothing.
        """
        if not hasattr(self, "_start"):
            raise ProtouserError(f"the call {self.name!r} was never begun; use begin() or with")
        if self._end is None:
            self._end = now()
        self._settle(error)

    def count(self, counter: str, value: int = 1) -> None:
        """Add to a counter of this call's row, such as duplicates or bytes."""
        self._session.in_hub(self._session.add, self.type, self.name, counter, value)

    def complain_once(self, about: object, text: str, error: BaseException) -> None:
        """Log what somebody's code raised where it must not harm the call; once for each code."""
        self._session.complain_once(about, text, error)

    def cancel(self) -> None:
        """The call will not finish: counted as cancelled unless it has a verdict or has ended."""
        if self._reported:
            return  # it ended in a native thread, and is still on its way to the hub
        self._verdict = self._verdict or (CANCELLED, None)
        self.end()

    def leave(self) -> None:
        """The reader left a stream early: a success up to here, unless the user ends just now."""
        self._mode = _LEFT
        if self._end is None:
            self._end = now()
        self.count("left")
        self._session.hand_over(self.end)

    def verify(self, check: Check) -> bool:
        """Fail the call unless its response is what ``check`` demands; for after-hooks and blocks.

        Returns False when it failed, and leaves a call alone that has failed before.
        """
        if self.outcome is FAILURE:
            return False
        reason = run_check(check, subject_of(check, self))
        if reason is not None:
            self.failure(reason)
        return reason is None

    @property
    def outcome(self) -> str | None:
        """How the call ended, such as "success" or "failure"; None until that is decided."""
        return None if self._verdict is None else self._verdict[0]

    @property
    def reason(self) -> BaseException | None:
        """Why the call failed, once that is decided."""
        return None if self._verdict is None else self._verdict[1]

    @property
    def stopped(self) -> bool:
        """True when the measured interval has ended, though the call may not be reported yet."""
        return self._end is not None

    def runs_in(self, session: Session) -> bool:
        """True for a call of that session that has begun and is not reported."""
        return self._session is session and hasattr(self, "_start") and not self._reported

    @property
    def left(self) -> bool:
        """True for a stream whose reader left it early."""
        return self._mode is _LEFT

    @property
    def seconds(self) -> float | None:
        """How long it took, once it is over; None before, and for what has no answer."""
        return None if self._end is None or self.one_way else self._end - self._start

    @property
    def started_at(self) -> float:
        """When the measured interval began, in Unix time."""
        return time_of_day(self._start)

    @property
    def series(self) -> tuple[tuple[str, float], ...]:
        """What was recorded beside its duration, as (series, seconds), in order."""
        spent = tuple(self._spent or ())
        if self._hooks is None or not self._hook_seconds:
            return spent
        return (*spent, (HOOKS, self._hook_seconds))

    def begin(self) -> Self:
        """Start the clock without a block; ``end`` stops it. Cancelled with its user otherwise."""
        self.__enter__()
        return self.keep()

    def hold(self, work: Callable[[Call], Any]) -> Self:
        """Do the work now and leave the verdict to the caller's ``with`` block (catch_response).

        An exception of the work waits for the end of the block, where it is raised unless a
        verdict was given; until then it is ``call.error``.
        """
        self.__enter__()
        try:
            self.response = work(self)
        except BaseException as error:
            if not is_result(error):
                self.end(error)
                raise
            self.error = error
        if self._end is None:
            self._end = now()
        self.keep()
        self._mode = _HELD
        return self

    def keep(self) -> Self:
        """Have the user cancel this call at its end, if nobody ended it by then."""
        if self.user is not None:
            self._mode = _KEPT
            self.user._open_calls.add(self)
        return self

    def _blames_block(self, error: BaseException) -> bool:
        """True when the block stumbled over a result that is not there: the call's error counts."""
        return is_result(error) and self._verdict is None

    def _leave_held_block(self) -> None:
        error, verdict = self.error, self._verdict
        self._settle(error)
        if error is not None and verdict is None and not expects(self._check, error):
            raise error

    def _heed_veto(self) -> None:
        if self.outcome is SKIPPED:
            skipped = self.reason
            self._end = self._start
            self._settle(None)
            raise skipped if skipped else CallSkipped(self.name)

    def _settle(self, error: BaseException | None) -> None:
        """Decide the outcome and report it, in the hub's thread; only the first time counts."""
        if self._reported:
            return
        self._reported = True
        session = self._session
        if get_thread_ident() != session.thread:
            self._note_in_thread(error)
            session.hand_over(self._conclude, error)
        elif (
            error is None
            and self._verdict is None
            and self._check is None
            and self._hooks is None
            and self._mode is _IN_BLOCK
            and not session.traces_successes
        ):
            report(self, SUCCESS, None)
        elif self._mode is _IN_BLOCK:
            conclude(self, error)
        else:
            self._conclude(error)

    def _note_in_thread(self, error: BaseException | None) -> None:
        """Let the task know, before it can see the exception, that it is going to be reported."""
        fails = self._verdict is None or self._verdict[0] is FAILURE
        if error is not None and self.user is not None and fails and not steers_locust(error):
            self.user._reported.append(error)

    def _conclude(self, error: BaseException | None) -> None:
        if self._mode is not _IN_BLOCK and self.user is not None:
            self.user._open_calls.discard(self)
        conclude(self, error)
