"""From values to places on a chart's vertical axis, and where its lines are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["Scale", "linear", "logarithmic"]

_STEPS: Final = (1, 2, 2.5, 5, 10)
_MOST_TICKS: Final = 5


@dataclass(frozen=True)
class Scale:
    """An axis from ``low`` to ``high``.

    Attributes:
        low: the value at its lower end.
        high: the value at its upper end, which is above ``low``.
        ticks: the values that are marked.
        by_ratio: equal distances are equal ratios, and not equal differences.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    by_ratio: bool = False

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the lower end, 1 at the upper; what is beyond is at the end."""
        value = min(max(value, self.low), self.high)
        if self.by_ratio:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def linear(values: Iterable[float]) -> Scale:
    """An axis from zero to a round number that no value exceeds."""
    highest = max(values, default=0.0)
    if not 0 < highest < math.inf:
        highest = 1.0
    rough = highest / _MOST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))
    count = math.ceil(highest / step - 1e-9)
    return Scale(0.0, count * step, tuple(number * step for number in range(count + 1)))


def logarithmic(values: Iterable[float]) -> Scale:
    """An axis between powers of ten that no value is outside of; zeros lie at its lower end."""
    positive = [value for value in values if 0 < value < math.inf] or [1.0]
    low = math.floor(math.log10(min(positive)) + 1e-9)
    high = max(math.ceil(math.log10(max(positive)) - 1e-9), low + 1)
    ticks = tuple(10.0**power for power in range(low, high + 1))
    return Scale(ticks[0], ticks[-1], ticks, by_ratio=True)
