"""What outcomes and percentiles are called wherever people read them, and which are shown."""

from __future__ import annotations

from typing import Final

from protouser._figures import CANCELLED, FAILURE, ONE_WAY, SKIPPED, SUCCESS, WARM_UP

__all__ = ["MAXIMUM", "OUTCOMES", "PERCENTILES", "is_shown", "is_telling", "member"]

#: In the order of their columns.
OUTCOMES: Final = {
    SUCCESS: "ok",
    FAILURE: "failed",
    CANCELLED: "cancelled",
    ONE_WAY: "one-way",
    SKIPPED: "skipped",
    WARM_UP: "warm-up",
}
PERCENTILES: Final = {
    "p50": 0.5,
    "p90": 0.9,
    "p95": 0.95,
    "p99": 0.99,
    "p99.9": 0.999,
    "p99.99": 0.9999,
}
MAXIMUM: Final = "max"
#: What a table goes without where there are too few calls for it.
_TAIL: Final = ("p99.9", "p99.99")


def member(heading: str) -> str:
    """What a percentile, or the maximum, is called in a document of results."""
    return f"{heading.replace('.', '')}_ns"


def is_telling(heading: str, calls: int) -> bool:
    """Whether so many calls are enough for it to be another value than their maximum."""
    return calls * (1 - PERCENTILES[heading]) >= 1 - 1e-9


def is_shown(heading: str, calls: int) -> bool:
    """Whether a table shows a column of times for a row with so many calls."""
    return heading not in _TAIL or is_telling(heading, calls)
