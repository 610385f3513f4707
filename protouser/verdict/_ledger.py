"""All that was observed of one process, added up: its size does not grow with the test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self, TypeVar

from protouser._watchdog import Place
from protouser.verdict._observation import Observation, Waited

__all__ = ["FULL", "LATE_BY", "SWITCHING", "Account", "Ledger"]

#: A core that is used more than this is full: the rest goes to what no thread can do better.
FULL: Final = 0.9
#: Python threads that compete for the interpreter take turns of 5 ms, so the loop is later.
SWITCHING: Final = 0.005
#: By how much the event loop may be late for want of a processor, in seconds. A timer of the
#: system is late by 1 ms, a busy but sound loop by several.
LATE_BY: Final = 0.02

#: A thread that is kept from the processor for more than this share of a second is starved.
STARVED_SHARE: Final = 0.05

_MOST_ACCOUNTS: Final = 20

K = TypeVar("K")


@dataclass
class Account:
    """One thing that went wrong.

    Attributes:
        since: the second of the test in which it was first seen.
        seconds: how long it lasted.
        amount: how much there was of it.
        of: how much of it there could have been.
        worst: the highest value that was seen.
    """

    since: float = 0.0
    seconds: float = 0.0
    amount: float = 0.0
    of: float = 0.0
    worst: float = 0.0

    def add(self, at: float, seconds: float, amount: float, of: float, worst: float = 0.0) -> None:
        """It was seen at a moment; or, with no seconds, only that there might have been some."""
        if not self.seconds and seconds:
            self.since = at
        self.seconds += seconds
        self.amount += amount
        self.of += of
        self.worst = max(self.worst, worst)

    @property
    def share(self) -> float:
        """Its amount, of what there could have been."""
        return self.amount / self.of if self.of else 0.0


@dataclass
class Ledger:
    """What one process was like so far.

    Attributes:
        seconds: for how long it was observed.
        cpu: the seconds in which it had no processor time left; the amount is cores x seconds.
        starved: the seconds in which its event loop was late for want of a processor; the amount
            is the time by which it was late.
        waited: the seconds in which it was late though there was a processor and nothing was
            computed: it waited where it may not, too short for the line to be found.
        unserved: iterations for which every user was busy.
        dropped: those of them that did not take place at all.
        begun: iterations that began in those seconds all the same.
        most_users: the most that were there.
        blocks: by line, the times at which it blocked the event loop; the amount is what was
            computed meanwhile.
        threads: by call, the waiting for a free thread.
        data: by feeder, the waiting for a row.
        lines: where its seconds without processor time left went, by line, in seconds.
    """

    seconds: float = 0.0
    cpu: Account = field(default_factory=Account)
    starved: Account = field(default_factory=Account)
    waited: Account = field(default_factory=Account)
    unserved: Account = field(default_factory=Account)
    dropped: int = 0
    begun: int = 0
    most_users: int = 0
    blocks: dict[Place, Account] = field(default_factory=dict)
    threads: dict[str, Account] = field(default_factory=dict)
    data: dict[str, Account] = field(default_factory=dict)
    lines: dict[Place, float] = field(default_factory=dict)
    load: dict[str, Account] = field(default_factory=dict)

    @classmethod
    def of(cls, observations: Iterable[Observation]) -> Self:
        """The ledger of a process that was observed so."""
        ledger = cls()
        for each in observations:
            ledger.add(each)
        return ledger

    def add(self, seen: Observation) -> None:
        """One more second."""
        self.seconds += seen.seconds
        self.dropped += seen.dropped
        self.most_users = max(self.most_users, seen.users)
        blocked = self._add_blocks(seen)
        self._add_processor(seen, blocked)
        unserved = seen.late + seen.dropped
        self.begun += seen.started if unserved else 0
        self.unserved.add(
            seen.at, seen.seconds if unserved else 0.0, unserved, seen.started + seen.dropped
        )
        _add_waits(self.threads, seen, seen.threads)
        _add_waits(self.data, seen, seen.data)
        for name, value in (("cpu", seen.cpu), ("hub", seen.hub), ("lag", seen.lag_p99)):
            account = self.load.setdefault(name, Account())
            account.add(seen.at, seen.seconds, value * seen.seconds, seen.seconds, value)

    def _add_blocks(self, seen: Observation) -> float:
        for block in seen.blocks:
            place = Place(block.filename, block.line, block.function)
            account = _account(self.blocks, place)
            account.add(seen.at, block.seconds, block.busy, block.seconds, block.seconds)
        return sum(block.seconds for block in seen.blocks)

    def _add_processor(self, seen: Observation, blocked: float) -> None:
        at, seconds = seen.at, seen.seconds
        wanted = seen.hub + max(seen.starved, 0.0)
        full = wanted > FULL or (seen.cpu > FULL and seen.lag_p99 > SWITCHING)
        late = max(seen.lag_p99, seen.scheduler_lag)
        if full:
            self.cpu.add(at, seconds, seen.cpu * seconds, seconds, max(seen.starved, 0.0))
            self._add_lines(seen)
        elif late > LATE_BY and not blocked:
            sound = 0 <= seen.starved < STARVED_SHARE
            account = self.waited if sound else self.starved
            account.add(at, seconds, late * seconds, seconds, seen.lag_max)

    def _add_lines(self, seen: Observation) -> None:
        for filename, line, function, share in seen.lines:
            place = Place(filename, line, function)
            if place in self.lines or len(self.lines) < _MOST_ACCOUNTS:
                self.lines[place] = self.lines.get(place, 0.0) + share * seen.seconds


def _account(accounts: dict[K, Account], key: K) -> Account:
    """The account of a key; beyond some of them, one that nobody looks at."""
    if key not in accounts and len(accounts) >= _MOST_ACCOUNTS:
        return Account()
    return accounts.setdefault(key, Account())


def _add_waits(accounts: dict[str, Account], seen: Observation, waits: Iterable[Waited]) -> None:
    for name, seconds, of in waits:
        _account(accounts, name).add(seen.at, seconds, seconds, of)
