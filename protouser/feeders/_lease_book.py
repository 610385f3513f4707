"""The master's side of leasing rows to workers: pure state, without sockets and clocks.

A worker asks with a sequence number, and repeats the very same question until it is answered; a
question that was answered is answered alike again. In each question the worker names every lease it
holds and how many of its rows are used. A lease that was granted and is not named never arrived, so
its rows are free again: an answer may be lost, repeated or late.

``drop``: rows that a worker has are never given to another one, so none is used twice. ``requeue``:
rows of a worker that was not heard of for ``ttl`` and ``grace`` seconds go to others; the worker
itself, by its own clock, uses none after ``ttl`` seconds, counted from when it asked.

Who asks when nothing is left waits as long as another worker holds rows that are not used; those
are called back, so that the last rows go to whoever asks, and nobody waits for a worker that sits
on them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any, Final

from protouser.feeders._supply import Record, Supply

__all__ = ["LeaseBook", "stale"]

_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass
class _Lease:
    """Rows that a worker has, used in their order."""

    records: list[Record]
    used: int = 0

    @property
    def unused(self) -> int:
        return len(self.records) - self.used


@dataclass
class _Worker:
    """What the master knows of one worker."""

    sequence: int = 0
    answer: dict[str, Any] | None = None
    heard: float = 0.0
    used: int = 0
    returned: int = 0
    leases: dict[int, _Lease] = field(default_factory=dict)
    taken: dict[int, _Lease] = field(default_factory=dict)  # leases that ran out
    elsewhere: set[int] = field(default_factory=set)  # numbers of used rows that others got, too

    @property
    def unused(self) -> int:
        return sum(lease.unused for lease in self.leases.values())


class LeaseBook:
    """Who has which rows of one feeder, in one test.

    Attributes:
        given_back: rows that workers had not used when they stopped.
        duplicates: rows that went to somebody else although they turned out to be used.
        closed: true once the test is over: rows come back, and none are given.
    """

    def __init__(self, supply: Supply, epoch: int, requeue: bool, ttl: float, grace: float) -> None:
        self.supply = supply
        self.epoch = epoch
        self.given_back = self.duplicates = 0
        self.closed = False
        self._requeue = requeue
        self._ttl = ttl
        self._grace = grace
        # by identity: a row keeps it in whatever lease it is, and a late word of it finds it here
        self._pool: OrderedDict[int, Record] = OrderedDict()
        self._workers: dict[str, _Worker] = {}
        self._used_up = False
        self._last_lease = 0

    def ask(
        self,
        worker_id: str,
        question: dict[str, Any],
        moment: float,
        missing: Container[str] = _NOBODY,
    ) -> dict[str, Any] | None:
        """The answer to a question; None to one that came too late.

        ``missing`` are workers of which nothing is heard at present.
        """
        if question["epoch"] not in (None, self.epoch):
            return stale(question)
        worker = self._workers.setdefault(worker_id, _Worker())
        if question["seq"] <= worker.sequence:
            # no answer to an older one spares a message only: its worker waits for a newer
            # number, and would take no other
            return worker.answer if question["seq"] == worker.sequence else None
        self.tick(moment)
        worker.sequence, worker.heard = question["seq"], moment
        self._settle(worker, question)
        rows = self._grant(question["want"])
        worker.answer = {
            "seq": question["seq"],
            "epoch": self.epoch,
            "lease": self._lease(worker, rows),
            "rows": rows,
            "state": "rows" if rows else self._state(worker_id, missing),
            "ttl": self._ttl if self._requeue else 0,
        }
        return worker.answer

    def holders(self, asking: str, missing: Container[str] = _NOBODY) -> list[str]:
        """Other workers that have unused rows and may still use them, or give them back."""
        return [
            worker_id
            for worker_id, worker in self._workers.items()
            if worker_id != asking and (self._requeue or worker_id not in missing) and worker.unused
        ]

    def tick(self, moment: float) -> None:
        """Take rows from workers of which was not heard for too long, if they are to go on."""
        if not self._requeue:
            return
        for worker in self._workers.values():
            if worker.leases and moment > worker.heard + self._ttl + self._grace:
                for lease in worker.leases.values():
                    self._give_back(lease.records[lease.used :])
                worker.taken.update(worker.leases)
                worker.leases.clear()

    def lost(self, missing: Container[str]) -> int:
        """Rows that went with workers; in the end with all that did not give theirs back."""
        return sum(
            worker.unused
            for worker_id, worker in self._workers.items()
            if self.closed or worker_id in missing
        )

    @property
    def workers(self) -> list[str]:
        """Every worker that has ever asked."""
        return list(self._workers)

    def used_by(self, worker_id: str) -> int:
        """How many rows this worker is known to have used."""
        worker = self._workers.get(worker_id)
        return 0 if worker is None else worker.used

    def unused_by(self, worker_id: str) -> int:
        """How many rows this worker has and is not known to have used."""
        worker = self._workers.get(worker_id)
        return 0 if worker is None else worker.unused

    def _settle(self, worker: _Worker, question: dict[str, Any]) -> None:
        named = {lease: (used, released) for lease, used, released in question["holds"]}
        for number, lease in list(worker.leases.items()):
            used, released = named.get(number, (0, True))
            worker.used += used - lease.used
            lease.used = used
            if released or not lease.unused:
                self._give_back(lease.records[used:])
                self.given_back += lease.unused if question["last"] and number in named else 0
                del worker.leases[number]
        for number, lease in list(worker.taken.items()):
            used, released = named.get(number, (lease.used, True))
            worker.used += used - lease.used
            self._use_late(worker, lease.records[lease.used : used])
            lease.used = used
            if released:
                del worker.taken[number]
        for serial, number, values in question["returned"]:
            if serial > worker.returned:
                worker.returned = serial
                if number in worker.elsewhere:
                    worker.elsewhere.discard(number)  # whoever else got it may give it back
                else:
                    self._give_back([(number, values)])

    def _use_late(self, worker: _Worker, records: list[Record]) -> None:
        """Rows of a lease that ran out, and were used: nobody else needs them."""
        for record in records:
            if self._pool.pop(id(record), None) is None:
                self.duplicates += 1
                worker.elsewhere.add(record[0])

    def _give_back(self, records: list[Record]) -> None:
        self._pool.update((id(record), record) for record in records)

    def _grant(self, want: int) -> list[Record]:
        if want <= 0 or self.closed:
            return []
        left = self.supply.left()
        if left is not None:
            share = (left + len(self._pool)) // (2 * max(1, len(self._workers)))
            want = min(want, max(1, share))
        if self._pool:
            pop = self._pool.popitem
            return [pop(last=False)[1] for _ in range(min(want, len(self._pool)))]
        rows = self.supply.take(want)
        self._used_up = not rows
        return rows

    def _lease(self, worker: _Worker, rows: list[Record]) -> int:
        if not rows:
            return 0
        self._last_lease += 1
        worker.leases[self._last_lease] = _Lease(rows)
        return self._last_lease

    def _state(self, asking: str, missing: Container[str]) -> str:
        """Whether there are rows to ask for; at the end of the data for those only who wait."""
        if self.closed:
            return "end"
        if not self._used_up:
            return "rows"
        return "wait" if self._pool or self.holders(asking, missing) else "end"


def stale(question: dict[str, Any], state: str = "stale") -> dict[str, Any]:
    """The answer to a question of another test: what the worker has is of no use any more."""
    return {
        "seq": question["seq"],
        "epoch": None,
        "lease": 0,
        "rows": [],
        "state": state,
        "ttl": 0,
    }
