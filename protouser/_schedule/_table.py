"""What became of the slots, as a table for people."""

from __future__ import annotations

from typing import Any, Final

from protouser._columns import columns
from protouser._duration import duration
from protouser._figures import Figures
from protouser._schedule._results import schedules

__all__ = ["schedule_lines"]

_COUNTS: Final = ("planned", "started", "dropped", "late", "unstarted", "lost")
#: Shown only where there are any.
_RARE: Final = ("unstarted", "lost")
_TIMES: Final = ("p50", "p99", "max")


def schedule_lines(figures: Figures) -> list[str]:
    """A line for each schedule below a head; none where there is no schedule."""
    rows = schedules(figures)
    if not rows:
        return []
    counts = [name for name in _COUNTS if name not in _RARE or any(row[name] for row in rows)]
    head = ["Schedule", *counts]
    for series in ("lateness", "iteration"):
        head += [f"{series} {_TIMES[0]}", *_TIMES[1:]]
    return [*columns([head, *(_cells(row, counts) for row in rows)]), ""]


def _cells(row: dict[str, Any], counts: list[str]) -> list[str]:
    times = [row[f"{series}_{of}_ns"] for series in ("lateness", "iteration") for of in _TIMES]
    shown = ["-" if time is None else duration(time) for time in times]
    return [str(row["class"]), *(f"{row[name]:,}" for name in counts), *shown]
