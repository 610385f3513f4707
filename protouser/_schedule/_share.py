"""How the slots of a user class are due and shared over all processes: decided in one place.

The plan begins when all users are there and ready. Before that, slots come at its first rate,
scaled with those present. Machines' clocks differ, so what is told is durations since the
schedule's own clock began.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from protouser._call import now
from protouser._schedule._arrival_rate import ArrivalRate
from protouser._schedule._plan import Plan
from protouser._schedule._results import LOST
from protouser._schedule._timetable import Epoch

__all__ = ["EVERYBODY", "Crowd", "Share", "Tell"]

logger = logging.getLogger(__name__)

#: Whom to tell when all processes are meant.
EVERYBODY: Final = ""

#: How long users may take to get ready, in seconds, before the clock starts without them.
_PATIENCE: Final = 30.0
#: How long shares hold at least, in seconds.
_SETTLED: Final = 0.5

Tell = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class Crowd:
    """The users of a class in one process: how many are there, and how many are not ready yet.

    ``used`` is how many iterations they have begun; 0 where slots are counted.
    """

    present: int
    arriving: int
    used: int = 0


class Share:
    """The slots of one user class with an arrival rate, over all processes."""

    def __init__(self, name: str, rate: ArrivalRate, lead: float, tell: Tell) -> None:
        self.name = name
        self.crowds: dict[str, Crowd] = {}
        self._dead: set[str] = set()
        self._forgotten: dict[str, float] = {}
        self._plan: Plan = rate.plan()
        self._seed: int | None = None
        if rate.poisson:
            self._seed = random.getrandbits(48) if rate.seed is None else rate.seed
        self._lead = lead
        self._tell = tell
        self._zero = now()
        self._epochs: list[Epoch] = []
        self._waiting_since: float | None = None

    def hear(self, member: str, crowd: Crowd) -> None:
        """How the users of a process are."""
        self.crowds[member] = crowd
        self._dead.discard(member)

    def lose(self, member: str) -> None:
        """A process is gone; what was its own from now on goes to the others."""
        if self.crowds.pop(member, None) is not None:
            self._dead.add(member)

    def forget(self) -> None:
        """Figures are counted from zero again."""
        self._forgotten = {member: self._owned(member) for member in {*self.crowds, *self._dead}}

    def account(self, measured: Callable[[str], int]) -> list[tuple[str, int]]:
        """What became of slots that nobody counted: (counter, number).

        ``measured`` says how many slots of a process are in the figures.
        """
        lost = sum(
            max(0, round(self._owned(member) - self._forgotten.get(member, 0) - measured(member)))
            for member in self._dead
        )
        return [(LOST, lost)] if lost else []

    def decide(self, spawned: bool, present: float) -> None:
        """Begin an epoch if anything has changed; ``present`` is the share of all users there."""
        shares = tuple(sorted((member, crowd.present) for member, crowd in self.crowds.items()))
        if not any(weight for _, weight in shares):
            return
        if self._runs:
            if shares != self._epochs[-1].shares and self._elapsed > self._epochs[-1].at + _SETTLED:
                self._share_anew(shares)
        elif spawned and self._all_ready():
            self._begin(None, shares)
        else:
            self._warm_up(present, shares)

    @property
    def _elapsed(self) -> float:
        return now() - self._zero

    @property
    def _runs(self) -> bool:
        return bool(self._epochs) and self._epochs[-1].rate is None

    def _all_ready(self) -> bool:
        arriving = sum(crowd.arriving for crowd in self.crowds.values())
        if self._waiting_since is None:
            self._waiting_since = self._elapsed
        if not arriving:
            return True
        if self._elapsed < self._waiting_since + _PATIENCE:
            return False
        logger.warning(
            "%s: the arrival rate begins while %d users are not ready, after %g s of waiting",
            self.name,
            arriving,
            _PATIENCE,
        )
        return True

    def _warm_up(self, present: float, shares: tuple[tuple[str, int], ...]) -> None:
        crowds = self.crowds.values()
        ready = 1 - sum(crowd.arriving for crowd in crowds) / sum(crowd.present for crowd in crowds)
        rate = self._plan.rate * present * ready
        last = self._epochs[-1] if self._epochs else None
        if last is None or (last.rate, last.shares) != (rate, shares):
            self._begin(rate, shares)

    def _begin(self, rate: float | None, shares: tuple[tuple[str, int], ...]) -> None:
        at, position = self._ahead()
        self._add(Epoch(position, at, position, rate, shares))

    def _share_anew(self, shares: tuple[tuple[str, int], ...]) -> None:
        _, position = self._ahead()
        last = self._epochs[-1]
        self._add(Epoch(position, last.at, last.base, None, shares))

    def _ahead(self) -> tuple[float, float]:
        """When the next epoch begins, so that all know of it in time, and at which position."""
        at = self._elapsed + self._lead
        if not self._epochs:
            return at, 0.0
        return at, max(self._epochs[-1].begins, self._epochs[-1].position(self._plan, at))

    def _add(self, epoch: Epoch) -> None:
        self._epochs.append(epoch)
        message = {"class": self.name, "elapsed": self._elapsed, "seed": self._seed}
        self._tell(EVERYBODY, {**message, "epoch": epoch.to_wire()})

    def _owned(self, member: str) -> float:
        """How many slots were a process's own until now."""
        ends = [epoch.begins for epoch in self._epochs[1:]]
        if self._epochs:
            ends.append(self._epochs[-1].position(self._plan, self._elapsed))
        slots = 0.0
        for epoch, end in zip(self._epochs, ends, strict=True):
            share = epoch.share(member)
            if share is not None:
                slots += max(0.0, end - epoch.begins) * (share[1] - share[0]) / epoch.total
        return slots
