"""Which slots are this process's own, while processes come and go.

Whoever leads (the master, or the only process) decides in *epochs*: from a position on, slots are
due by this formula and shared by these weights. An epoch holds from a position, not from a moment,
so that every process, even a late one, gives each slot to the same owner. Of n slots in a row each
process gets its weight's part, to within one or two: slot k goes by the fraction of k times the
golden ratio, which fills the unit interval more evenly than anything else (Weyl's sequence).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any, Final

from protouser._schedule._plan import Plan, Positions

__all__ = ["Epoch", "Timetable"]

_GOLDEN: Final = 0.6180339887498949


@dataclass(frozen=True)
class Epoch:
    """What holds from a position on, until the next epoch.

    Attributes:
        begins: the position.
        at: seconds on the schedule's clock when position ``base`` is due.
        base: see ``at``.
        rate: slots per second before the plan has begun; None once the plan runs, from ``at``.
        shares: weights by process, in an order that is the same for all.
    """

    begins: float
    at: float
    base: float
    rate: float | None
    shares: tuple[tuple[str, int], ...]

    @cached_property
    def total(self) -> int:
        """The sum of all weights."""
        return sum(weight for _, weight in self.shares)

    def share(self, member: str) -> tuple[int, int] | None:
        """Between which sums of weights a process's own slots fall; None when it has none."""
        low = 0
        for name, weight in self.shares:
            if name == member:
                return (low, low + weight) if weight else None
            low += weight
        return None

    def position(self, plan: Plan, elapsed: float) -> float:
        """The position that is due at a time on the schedule's clock."""
        seconds = max(0.0, elapsed - self.at)
        if self.rate is None:
            return self.base + plan.expected(seconds)
        return self.base + self.rate * seconds

    def due(self, plan: Plan, position: float) -> float:
        """When a position is due, on the schedule's clock."""
        if self.rate is None:
            return self.at + plan.due(position - self.base)
        return self.at + (position - self.base) / self.rate if self.rate else inf

    def to_wire(self) -> dict[str, Any]:
        """Plain values for a message."""
        shares = [list(share) for share in self.shares]
        return {
            "begins": self.begins,
            "at": self.at,
            "base": self.base,
            "rate": self.rate,
            "shares": shares,
        }

    @classmethod
    def from_wire(cls, data: dict[str, Any]) -> Epoch:
        """The epoch that ``to_wire`` wrote."""
        shares = tuple((name, weight) for name, weight in data["shares"])
        return cls(data["begins"], data["at"], data["base"], data["rate"], shares)


class Timetable:
    """The own slots of one process, of a plan or of no more than ``limit`` slots of it."""

    def __init__(self, plan: Plan, member: str, limit: int | None = None) -> None:
        self._plan = plan
        self._positions = Positions()
        self._member = member
        self._limit = inf if limit is None else limit
        self._begins: list[float] = []
        self._epochs: list[tuple[Epoch, tuple[int, int] | None]] = []

    def add(self, epoch: Epoch, positions: Positions) -> None:
        """A new epoch, which begins not before the last one; where slots stand never changes."""
        self._positions = positions
        self._begins.append(epoch.begins)
        self._epochs.append((epoch, epoch.share(self._member)))

    def next_from(self, slot: int) -> tuple[int, float] | None:
        """The first own slot from a number on, and when it is due; None when there is none left.

        As long as nobody knows when, it is due at infinity.
        """
        while slot < self._limit:
            position = self._positions.of(slot)
            i = bisect_right(self._begins, position) - 1
            if i < 0:
                if not self._begins:
                    return slot, inf
                slot = self._positions.first_from(self._begins[0])
                continue
            epoch, share = self._epochs[i]
            if epoch.rate is None and position - epoch.base >= self._plan.arrivals:
                return None
            if share is None:
                if i + 1 == len(self._begins):
                    return slot, inf
                slot = self._positions.first_from(self._begins[i + 1])
                continue
            if share[0] <= (slot * _GOLDEN) % 1.0 * epoch.total < share[1]:
                return slot, epoch.due(self._plan, position)
            slot += 1
        return None
