"""When everybody is there: what the workers say about their users, and what follows from it.

Pure: it knows no runner and no wire. Each worker says how many of its users wait, how many are
alive, how many users of all classes it was told to run, and whether it has spawned these. A gate
opens once, when every worker has spawned its users and every one that is alive waits. So a user
that ended, or could not connect, is not waited for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass

__all__ = ["Attendance", "Gate"]


@dataclass(frozen=True, slots=True)
class Attendance:
    """What one worker says.

    Attributes:
        waiting: users that wait at the gate.
        alive: users that are to wait there, and have not ended.
        told: users of all classes that the worker was told to run.
        settled: it has spawned them.
    """

    waiting: int = 0
    alive: int = 0
    told: int = 0
    settled: bool = False

    def to_wire(self) -> list[int]:
        """Whole numbers only."""
        return [int(value) for value in astuple(self)]

    @classmethod
    def from_wire(cls, data: list[int]) -> Attendance:
        """What ``to_wire`` wrote."""
        waiting, alive, told, settled = data
        return cls(waiting, alive, told, bool(settled))


class Gate:
    """Closed until everybody is there; then open for good.

    Attributes:
        is_open: everybody was there.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._said: dict[str, Attendance] = {}

    def note(self, worker: str, attendance: Attendance) -> None:
        """A worker says how it stands."""
        self._said[worker] = attendance

    def silent(self, workers: Collection[str]) -> set[str]:
        """Those of the workers that have not said anything yet."""
        return {worker for worker in workers if worker not in self._said}

    def total(self, workers: Collection[str]) -> Attendance:
        """What these workers say together."""
        said = [self._said.get(worker, Attendance()) for worker in workers]
        return Attendance(
            sum(each.waiting for each in said),
            sum(each.alive for each in said),
            sum(each.told for each in said),
            all(each.settled for each in said),
        )

    def try_open(self, workers: Collection[str], users: int | None) -> bool:
        """Open it if everybody is there; True when that is so, now or before.

        Args:
            workers: those that take part. What others once said does not count any more.
            users: how many users of all classes they are to have together; None where that is
                known to be fulfilled.
        """
        total = self.total(workers)
        if total.settled and total.waiting and total.waiting >= total.alive:
            self.is_open = self.is_open or users is None or total.told == users
        return self.is_open
