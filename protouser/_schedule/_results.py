"""What became of the slots, as counters that travel and add up like all figures."""

from __future__ import annotations

from typing import Any, Final

from protouser._figures import SUCCESS, Figures

__all__ = [
    "DROPPED",
    "ITERATION",
    "LATE",
    "LATENESS",
    "LOST",
    "SCHEDULE",
    "SCHEDULER_LAG",
    "STARTED",
    "UNSTARTED",
    "planned",
    "schedules",
]

#: The type of the row under which a user class's schedule has its counters and series.
SCHEDULE: Final = "schedule"

STARTED: Final = "started"
DROPPED: Final = "dropped"
LATE: Final = "late"
UNSTARTED: Final = "unstarted"
LOST: Final = "lost"

ITERATION: Final = "iteration"
LATENESS: Final = "lateness"
SCHEDULER_LAG: Final = "scheduler lag"

_ENDS: Final = (STARTED, DROPPED, UNSTARTED, LOST)


def schedules(figures: Figures) -> list[dict[str, Any]]:
    """One entry for each user class with an arrival rate or a number of iterations.

    ``class`` is its name. ``planned`` slots came due, and each was ``started``, ``dropped``,
    ``unstarted`` (due, but the test ended before a user was free) or ``lost`` (with a worker that
    died). ``late`` are those that started more than 1 ms after they were due for want of a free
    user. Then come percentiles of the lateness and of whole iterations, None where there are none.
    """
    names = sorted({name for type_, name, _ in figures.counters if type_ == SCHEDULE})
    return [_entry(figures, name) for name in names]


def planned(figures: Figures, name: str) -> int:
    """How many slots of a class have come to an end, whichever."""
    return sum(_value(figures, name, end) for end in _ENDS)


def _entry(figures: Figures, name: str) -> dict[str, Any]:
    counters = {counter: _value(figures, name, counter) for counter in (*_ENDS, LATE)}
    times = {**_times(figures, name, LATENESS), **_times(figures, name, ITERATION)}
    return {"class": name, "planned": planned(figures, name), **counters, **times}


def _times(figures: Figures, name: str, series: str) -> dict[str, int | None]:
    found = figures.timed.get((SCHEDULE, name, series, SUCCESS))
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        f"{series}_{word}_ns": found.percentile(share) if found and found.count else None
        for word, share in shares.items()
    }


def _value(figures: Figures, name: str, counter: str) -> int:
    return figures.counters.get((SCHEDULE, name, counter), 0)
