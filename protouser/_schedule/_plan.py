"""When which slot of a schedule is due: pure arithmetic, the same in every process.

A plan is a curve: how many arrivals are expected until a time. A slot has a *position* on the axis
of expected arrivals, and is due when the curve reaches it. At an even rate slot k has position k.
Random arrivals of a Poisson process are positions drawn from a seed; that they, too, can be had for
any k without those before it, they are drawn by blocks: in each block of 256 positions exactly 256
slots fall, evenly distributed and sorted. Within a block that is what a Poisson process looks like
once its count is known; between blocks it keeps the rate, which a true one lets drift.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Plan", "Positions", "Stage"]

_BLOCK: Final = 256
#: What floating point may lose where two stages meet, in arrivals.
_ROUNDING: Final = 1e-6


@dataclass(frozen=True)
class Stage:
    """A part of a plan in which the rate is even or changes evenly.

    Attributes:
        first: arrivals per second at its begin.
        last: and at its end.
        seconds: how long it is; infinite for one that ends with the test.
    """

    first: float
    last: float
    seconds: float

    @property
    def arrivals(self) -> float:
        """How many arrivals are expected in all of it."""
        return self.seconds * (self.first + self.last) / 2

    def expected(self, seconds: float) -> float:
        """Arrivals until this long after its begin."""
        return self.first * seconds + self._bend * seconds * seconds

    def reaches(self, arrivals: float) -> float:
        """When so many arrivals are expected, in seconds after its begin."""
        if arrivals <= 0:
            return 0.0
        root = math.sqrt(max(0.0, self.first**2 + 4 * self._bend * arrivals))
        both = self.first + root
        return min(2 * arrivals / both, self.seconds) if both else 0.0  # too few for a float

    @property
    def _bend(self) -> float:
        return (self.last - self.first) / self.seconds / 2


class Plan:
    """Stages, one after the other.

    Attributes:
        seconds: how long all of them last.
        arrivals: how many are expected in all of them.
        rate: arrivals per second at the begin.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)
        self._begins = [0.0]
        self._bases = [0.0]
        for stage in self._stages:
            self._begins.append(self._begins[-1] + stage.seconds)
            self._bases.append(self._bases[-1] + stage.arrivals)
        self.seconds = self._begins.pop()
        self.arrivals = self._bases.pop() - _ROUNDING
        self.rate = self._stages[0].first

    def expected(self, seconds: float) -> float:
        """How many arrivals are expected until this time."""
        if seconds >= self.seconds:
            return self.arrivals
        i = max(0, bisect_right(self._begins, seconds) - 1)
        return self._bases[i] + self._stages[i].expected(max(0.0, seconds - self._begins[i]))

    def due(self, position: float) -> float:
        """When a position is reached, in seconds from the begin."""
        i = max(0, bisect_right(self._bases, position) - 1)
        return self._begins[i] + self._stages[i].reaches(position - self._bases[i])


class Positions:
    """Where slot k stands on the axis of expected arrivals; evenly without a seed."""

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._block = -1
        self._drawn: list[float] = []

    def of(self, slot: int) -> float:
        """The position of a slot."""
        if self._seed is None:
            return float(slot)
        block, index = divmod(slot, _BLOCK)
        return block * _BLOCK + self._draw(block)[index]

    def first_from(self, position: float) -> int:
        """The first slot that does not stand before a position."""
        if self._seed is None:
            return max(0, math.ceil(position))
        block = int(max(0.0, position) // _BLOCK)
        return block * _BLOCK + bisect_left(self._draw(block), position - block * _BLOCK)

    def _draw(self, block: int) -> list[float]:
        if block != self._block:
            draw = random.Random(f"{self._seed}:{block}").random
            self._block = block
            self._drawn = sorted(draw() * _BLOCK for _ in range(_BLOCK))
        return self._drawn
