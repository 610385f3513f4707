"""How far a figure of a run may be off by chance, told by the run's own parts.

A run is cut into parts of neighbouring slices. What the parts differ by says how sure their mean
is; where neighbours are alike, as on a server that drifts, fewer are independent than there are: an
autocorrelation r of neighbours leaves n (1 - r) / (1 + r) of n. Few parts widen the interval, by
Student's t.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["FEWEST_PARTS", "MOST_PARTS", "Estimate", "cut", "half_width", "mean_of", "share_of"]

MOST_PARTS: Final = 20
FEWEST_PARTS: Final = 5
_MOST_ALIKE: Final = 0.9


class Estimate(NamedTuple):
    """The variance of a mean, and how many independent parts it was told by."""

    variance: float
    parts: float


def cut(count: int) -> list[tuple[int, int]]:
    """Begin and end of each of up to twenty parts of so many slices."""
    parts = min(MOST_PARTS, count)
    return [(count * at // parts, count * (at + 1) // parts) for at in range(parts)]


def mean_of(values: Sequence[float], least: float = 0.0) -> Estimate:
    """How sure the mean of values is that follow one another; the variance is at least ``least``.

    There are at least ``FEWEST_PARTS`` values.
    """
    count = len(values)
    mean = sum(values) / count
    off = [value - mean for value in values]
    squares = sum(each * each for each in off)
    if not squares:
        return Estimate(least, count)
    alike = sum(a * b for a, b in itertools.pairwise(off)) / squares
    alike += (1 + 3 * alike) / count  # a short row shows too little of it
    alike = min(max(alike, 0.0), _MOST_ALIKE)
    independent = max(count * (1 - alike) / (1 + alike), 2.0)
    return Estimate(max(squares / (count - 1) / independent, least), independent)


def share_of(counted: Sequence[int], of: Sequence[int]) -> Estimate:
    """How sure the share of all ``counted`` of all ``of`` is, from the parts of both."""
    all_counted, everything = sum(counted), sum(of)
    share = all_counted / everything
    weight = len(of) / everything
    # what was never seen may still happen: half a one more is as good as none
    guess = (all_counted + 0.5) / (everything + 1)
    least = guess * (1 - guess) / everything
    off = [(part - share * whole) * weight for part, whole in zip(counted, of, strict=True)]
    return mean_of(off, least)


def half_width(one: Estimate, other: Estimate, certainty: float) -> float:
    """How far the difference of two means may be from the true one, with this certainty."""
    variance = one.variance + other.variance
    if not variance:
        return 0.0
    below = sum(each.variance**2 / max(each.parts - 1, 1.0) for each in (one, other))
    freedom = max(int(variance**2 / below), 1) if below else 1
    return _student(certainty, freedom) * math.sqrt(variance)


def _student(certainty: float, freedom: int) -> float:
    """The t that a value of Student's distribution is within, plus or minus, so certainly."""
    low, high = 0.0, 1.0
    while _within(high, freedom) < certainty and high < 1e6:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < certainty else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """The probability of -t to t (M. Abramowitz, I. Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for n in range(1 + odd, freedom, 2):
        total += term
        term *= cosine * cosine * n / (n + 1)
    return (angle + sine * total) * 2 / math.pi if odd else sine * total
