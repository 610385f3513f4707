"""The clock: the only module that reads it.

``perf_counter`` is precise but counts from nowhere; events and people want the time of day.
"""

from __future__ import annotations

from time import perf_counter as now
from time import time as _wall_clock
from typing import Final

__all__ = ["EPOCH", "now", "time_of_day"]

#: What ``time.time()`` showed when ``now()`` was 0.
EPOCH: Final = _wall_clock() - now()


def time_of_day(at: float) -> float:
    """What ``time.time()`` showed at a ``now()`` value, for people and for other programs."""
    return EPOCH + at
