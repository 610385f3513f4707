"""The master's side of leasing rows to workers: pure state, without sockets and clocks.

A worker asks with a sequence number, and repeats the very same question until it is answered; a
question that was answered is answered alike again. In each question the worker names every lease it
holds and how many of its rows are used. A lease that was granted and is not named never arrived, so
its rows are free again: an answer may be lost, repeated or late.

``drop``: rows that a worker has are never given to another one, so none is used twice. ``requeue``:
rows of a worker that was not heard of for ``ttl`` and ``grace`` seconds go to others; the worker
itself, by its own clock, uses none after ``ttl`` seconds, counted from when it asked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from protouser.feeders._supply import Record, Supply

__all__ = ["GRACE", "TTL", "LeaseBook"]

TTL = 10.0
GRACE = 5.0


@dataclass
class _Worker:
    """What the master knows of one worker."""

    sequence: int = 0
    answer: dict[str, Any] | None = None
    heard: float = 0.0
    expired: bool = False
    leases: dict[int, list[Record]] = field(default_factory=dict)
    used: dict[int, int] = field(default_factory=dict)


class LeaseBook:
    """Who has which rows of one feeder, in one test.

    Attributes:
        given_back: rows that came back unused, or when their user stopped.
        used: rows known to be used.
        duplicates: rows that went to somebody else although they turned out to be used.
    """

    def __init__(
        self, supply: Supply, epoch: int, requeue: bool, ttl: float = TTL, grace: float = GRACE
    ) -> None:
        self.supply = supply
        self.epoch = epoch
        self.given_back = self.used = self.duplicates = 0
        self._requeue = requeue
        self._ttl = ttl
        self._grace = grace
        self._pool: deque[Record] = deque()
        self._workers: dict[str, _Worker] = {}
        self._taken: dict[tuple[str, int], list[Record]] = {}  # of leases that ran out
        self._last_lease = 0

    @property
    def lost(self) -> int:
        """Rows that workers have and were not heard of again."""
        return sum(
            len(records) - worker.used.get(lease, 0)
            for worker in self._workers.values()
            for lease, records in worker.leases.items()
        )

    def ask(self, worker_id: str, question: dict[str, Any], moment: float) -> dict[str, Any] | None:
        """The answer to a question; None where it is out of date."""
        if question["epoch"] not in (None, self.epoch):
            return None
        worker = self._workers.setdefault(worker_id, _Worker())
        if question["seq"] == worker.sequence:
            return worker.answer
        if question["seq"] < worker.sequence:
            return None
        self.tick(moment)
        worker.sequence, worker.heard, worker.expired = question["seq"], moment, False
        self._settle(worker_id, worker, question)
        rows = self._grant(question["want"])
        lease = self._lease(worker, rows)
        state = "rows" if rows else self._state(worker)
        worker.answer = {
            "seq": question["seq"],
            "epoch": self.epoch,
            "lease": lease,
            "rows": rows,
            "state": state,
            "ttl": self._ttl if self._requeue else 0,
        }
        return worker.answer

    def tick(self, moment: float) -> None:
        """Take rows from workers of which was not heard for too long, if they are to go on."""
        if not self._requeue:
            return
        for worker_id, worker in self._workers.items():
            if worker.expired or moment <= worker.heard + self._ttl + self._grace:
                continue
            worker.expired = True
            for lease, records in worker.leases.items():
                rest = records[worker.used.get(lease, 0) :]
                self._taken[worker_id, lease] = records
                self._pool.extend(rest)
            worker.leases.clear()
            worker.used.clear()

    def _settle(self, worker_id: str, worker: _Worker, question: dict[str, Any]) -> None:
        named: dict[int, tuple[int, bool]] = {
            lease: (used, released) for lease, used, released in question["holds"]
        }
        for lease, records in list(worker.leases.items()):
            used, released = named.get(lease, (0, True))
            self.used += used - worker.used.get(lease, 0)
            worker.used[lease] = used
            if released or used == len(records):
                self._give_back(records[used:], counted=lease in named)
                del worker.leases[lease], worker.used[lease]
        for lease, (used, _) in named.items():
            late = self._taken.pop((worker_id, lease), None)
            if late is not None:
                self._use_late(late[:used])
        self._give_back([(number, values) for number, values in question["returned"]], True)

    def _use_late(self, records: list[Record]) -> None:
        """Rows of a lease that ran out, and were used: nobody else needs them."""
        for record in records:
            if record in self._pool:
                self._pool.remove(record)
            else:
                self.duplicates += 1

    def _give_back(self, records: list[Record], counted: bool) -> None:
        self._pool.extend(records)
        if counted:
            self.given_back += len(records)

    def _grant(self, want: int) -> list[Record]:
        if want <= 0:
            return []
        if self._pool:
            return [self._pool.popleft() for _ in range(min(want, len(self._pool)))]
        left = self.supply.left()
        if left is not None:
            want = min(want, max(1, left // (2 * max(1, len(self._workers)))))
        return self.supply.take(want)

    def _lease(self, worker: _Worker, rows: list[Record]) -> int:
        if not rows:
            return 0
        self._last_lease += 1
        worker.leases[self._last_lease] = rows
        worker.used[self._last_lease] = 0
        return self._last_lease

    def _state(self, asking: _Worker) -> str:
        others = (worker for worker in self._workers.values() if worker is not asking)
        waiting = self._requeue and any(worker.leases for worker in others)
        return "wait" if waiting else "end"
