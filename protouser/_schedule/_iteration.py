"""One run of a task by the schedule, and the two times of the calls in it.

*Service* time is from a call's begin to its end; Locust's tables have that one. *Response* time
counts from when the call was to begin: if no user was free when the task was due, the wait belongs
to its first call (coordinated omission; G. Tene, "How not to measure latency"). A user that waited
for its slot and was woken late had no such wait: that is the generator's own lateness, a series of
its own, and no server's fault.
"""

from __future__ import annotations

from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from protouser._call import now
from protouser._figures import FAILURE, SUCCESS, Figures
from protouser._schedule._results import ITERATION, LATENESS, SCHEDULE, SCHEDULER_LAG
from protouser._schedule._turns import Slot, Turns
from protouser._steering import steers_locust

if TYPE_CHECKING:
    from protouser._user import ProtocolUser

__all__ = ["Iteration", "run_in_turn"]


class Iteration:
    """A task that runs in its slot."""

    __slots__ = ("_began", "_behind", "_slot")

    def __init__(self, slot: Slot, began: float) -> None:
        self._slot = slot
        self._began = began
        self._behind = slot.behind

    def lateness_of_call(self, one_way: bool) -> float:
        """What a call's response time has beyond its service time: the first call has it all."""
        if one_way:
            return 0.0  # it has no time of its own
        behind, self._behind = self._behind, 0.0
        return behind

    def record(self, figures: Figures, class_name: str, outcome: str) -> None:
        """The iteration's own times, once it has ended."""
        slot, began = self._slot, self._began
        due = slot.due if slot.behind else began
        figures.record(SCHEDULE, class_name, ITERATION, outcome, int((now() - due) * 1e9))

    def record_start(self, figures: Figures, class_name: str) -> None:
        """How late it began, and how much of that was the generator's own doing."""
        late = int((self._began - self._slot.due) * 1e9)
        figures.record(SCHEDULE, class_name, LATENESS, SUCCESS, late)
        if not self._slot.behind:
            figures.record(SCHEDULE, class_name, SCHEDULER_LAG, SUCCESS, late)


def run_in_turn(
    user: ProtocolUser, turns: Turns, execute: Callable[[Any], None], task: Any
) -> None:
    """Wait for the user's turn and run the task in it.

    Raises:
        StopUser: there are no turns any more, or the user is to stop.
    """
    slot = _take(user, turns)
    if slot is None:
        execute(task)
        return
    name = type(user).__name__
    iteration = user._iteration = Iteration(slot, now())
    iteration.record_start(user._session.figures, name)
    try:
        execute(task)
    except Exception as error:
        iteration.record(user._session.figures, name, _outcome(error))
        raise
    else:
        iteration.record(user._session.figures, name, SUCCESS)
    finally:
        user._iteration = None


def _take(user: ProtocolUser, turns: Turns) -> Slot | None:
    """Wait as Locust's users wait, in the state in which they are stopped at once."""
    if user._state == LOCUST_STATE_STOPPING:
        raise StopUser
    user._state = LOCUST_STATE_WAITING
    user._session.schedules.is_ready(user)
    slot = turns.take()
    if user._state == LOCUST_STATE_STOPPING:
        raise StopUser
    user._state = LOCUST_STATE_RUNNING
    return slot


def _outcome(error: Exception) -> str:
    """What ends a task that failed is, once it was reported, a word to Locust with that cause."""
    return SUCCESS if steers_locust(error) and error.__cause__ is None else FAILURE
