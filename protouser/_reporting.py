"""How a call ends: its outcome, its after-hooks, and one record in our figures and in Locust's.

This is the only module that fires Locust's request event. What is reported follows the table in
``_outcome``. All of it runs in the hub's thread, where Locust lives.
"""

from __future__ import annotations

from locust.exception import CatchResponseError

from typing import TYPE_CHECKING, Any, Final

from protouser._assertions import subject_of
from protouser._clock import EPOCH
from protouser._excerpt import text_of
from protouser._figures import CANCELLED, FAILURE, ONE_WAY, RESPONSE, SERVICE, SKIPPED, SUCCESS
from protouser._histogram import MOST_FRESH, Histogram
from protouser._names import as_name
from protouser._outcome import Verdict, outcome_of, outcome_of_error

if TYPE_CHECKING:
    from protouser._call import Call
    from protouser._figures import Figures
    from protouser._user import ProtocolUser

__all__ = ["SUCCEEDED", "conclude", "new_histogram", "report"]

SUCCEEDED: Final[Verdict] = (SUCCESS, None)


def conclude(call: Call, error: BaseException | None) -> None:
    """Decide how a call ended that met ``error``, or none, and report it."""
    verdict = call._verdict
    if error is not None:
        call.error = error
    if verdict is None:
        verdict = SUCCEEDED
        if error is not None or call._check is not None:
            try:
                verdict = _verdict_on(call, error)
            except BaseException as thrown:
                # out of the check: a kill, a deadline, or a word to Locust
                _count(call, *outcome_of_error(call._check, thrown))
                raise
    if call._hooks is not None and verdict[0] in (SUCCESS, FAILURE):
        call._verdict = verdict
        try:
            call._hooks.after(call)
        except BaseException:
            _count(call, *call._verdict)
            raise
        verdict = call._verdict
    if verdict is SUCCEEDED and not call._session.traces_successes:
        report(call, SUCCESS, None)
    else:
        _count(call, *verdict)


def report(call: Call, outcome: str, reason: BaseException | None) -> None:
    """Record a success or a failure in our figures, and tell Locust."""
    session, start, end = call._session, call._start, call._end
    user, figures = call.user, session.figures
    seconds = end - start  # type: ignore[operator]  # it has ended
    if user is not None and (user._warm_up or user._transaction) is not None:
        figures = _noted_by(call, user, figures, outcome, seconds)
    if call.one_way and outcome is SUCCESS:
        if (call.type, call.name, ONE_WAY) not in figures.counted:
            _take_names(call)
        figures.count(call.type, call.name, ONE_WAY)
    else:
        key = (call.type, call.name, SERVICE, outcome)
        histogram = figures.timed.get(key) or new_histogram(call, figures, SERVICE, outcome)
        fresh = histogram.fresh
        fresh.append(seconds * 1e9)
        if len(fresh) >= MOST_FRESH:
            histogram.sort_in()
    if call._lateness is not None or call._spent is not None:
        _record_other_series(call, figures, outcome, seconds)
    length, response, context = call.response_length, call.response, call.context or {}
    if length is None:
        length = len(response) if type(response) is bytes else _length_of(response)
    if user is not None and user._has_context:
        context = {**_context_of(call, user), **context}
    session.fire(
        request_type=call.type,
        name=call.name,
        response_time=None if call.one_way else seconds * 1000,
        response_length=length,
        response=response,
        context=context,
        exception=reason,
        start_time=EPOCH + start,
    )


def new_histogram(call: Call, figures: Figures, series: str, outcome: str) -> Histogram:
    """The histogram of a row that has none for this yet; ``figures.timed`` is asked before."""
    _take_names(call)
    return figures.histogram((call.type, call.name, series, outcome))


def _take_names(call: Call) -> None:
    """Make of the names what Locust can write and send; they are new, or not such already."""
    call.type, call.name = as_name(call.type), as_name(call.name)


def _count(call: Call, outcome: str, reason: BaseException | None) -> None:
    session = call._session
    if (session.traces_successes and outcome) or (outcome is FAILURE and session.trace):
        _trace(call, outcome, reason)
    if outcome is SUCCESS:
        report(call, outcome, None)
    elif outcome is CANCELLED or outcome is SKIPPED:
        session.figures.count(call.type, call.name, outcome)
    elif outcome is FAILURE:
        if call.error is not None:
            session.note_failure(call, call.error)
        report(call, outcome, session.reasons.admit(call.type, call.name, _for_locust(reason)))


def _trace(call: Call, outcome: str, reason: BaseException | None) -> None:
    trace = call._session.trace
    assert trace is not None
    try:
        trace.note(call, outcome, reason)
    except Exception as error:  # noqa: BLE001  it must not lose the call
        call.complain_once(trace, "the trace of a call", error)


def _verdict_on(call: Call, error: BaseException | None) -> Verdict:
    check = call._check
    if error is None:
        return outcome_of(check, subject_of(check, call))
    verdict = outcome_of_error(check, error)
    if verdict[0] is SUCCESS:
        call.response = error  # it is what was wanted
    return verdict


def _noted_by(
    call: Call, user: ProtocolUser, figures: Figures, outcome: str, seconds: float
) -> Figures:
    """Tell the transaction that runs; the figures that count, or those of the warm-up."""
    if user._transaction is not None:
        user._transaction.note(call, seconds, outcome is FAILURE)
    return figures if user._warm_up is None else user._warm_up.figures(figures, call._start)


def _record_other_series(call: Call, figures: Figures, outcome: str, seconds: float) -> None:
    late, type_, name = call._lateness, call.type, call.name
    if late is not None and not (call.one_way and outcome is SUCCESS):
        figures.record(type_, name, RESPONSE, outcome, int((seconds + late) * 1e9))
    for series, spent in call._spent or ():
        figures.record(type_, name, series, outcome, int(spent * 1e9))


def _context_of(call: Call, user: ProtocolUser) -> dict[str, Any]:
    try:
        return user.context()
    except Exception as error:  # noqa: BLE001  it must not lose the call
        call.complain_once(type(user), f"{type(user).__name__}.context", error)
        return {}


def _for_locust(reason: BaseException | None) -> BaseException:
    """What Locust's tables can take: one that is false, as of length 0, is none for them."""
    try:
        shown = repr(reason)
        return reason if reason else CatchResponseError(shown)
    except Exception:  # noqa: BLE001  a foreign __repr__ or __bool__ may raise anything
        assert reason is not None
        return CatchResponseError(text_of(reason))


def _length_of(response: Any) -> int:
    if response is None:
        return 0
    try:
        return len(response)
    except Exception:  # noqa: BLE001  a foreign __len__ may raise anything; then it has none
        return 0
