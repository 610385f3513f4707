"""How a number of iterations is divided over all processes: granted in batches, in one place."""

from __future__ import annotations

from collections.abc import Callable

from protouser._schedule._results import LOST, UNSTARTED
from protouser._schedule._share import Crowd, Tell

__all__ = ["Grants"]


class Grants:
    """The iterations of one user class without an arrival rate, over all processes."""

    def __init__(self, name: str, limit: int, tell: Tell) -> None:
        self.name = name
        self.crowds: dict[str, Crowd] = {}
        self.left = limit
        self._tell = tell
        self._granted: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._dead: dict[str, int] = {}
        self._forgotten: dict[str, int] = {}

    def asked(self, member: str, wanted: int, used: int) -> None:
        """Grant what was asked for, or less near the end, so that every process has some."""
        self._used[member] = used
        if wanted < 0:
            number = wanted
        else:
            number = min(wanted, self.left, max(1, self.left // (2 * max(1, len(self.crowds)))))
        self.left -= number
        self._granted[member] = self._granted.get(member, 0) + number
        if number >= 0:
            over = not self.left and not number and not self._outstanding(member)
            self._tell(member, {"class": self.name, "granted": number, "over": over})

    def hear(self, member: str, crowd: Crowd) -> None:
        """What a process has used so far."""
        self.crowds[member] = crowd
        self._used[member] = crowd.used

    def lose(self, member: str) -> None:
        """A process is gone; what it may have used of its grant is not granted again."""
        if self.crowds.pop(member, None) is not None:
            self._dead[member] = self._granted.pop(member, 0)

    def forget(self) -> None:
        """Figures are counted from zero again."""
        self._forgotten = dict(self._used)

    def account(self, measured: Callable[[str], int]) -> list[tuple[str, int]]:
        """What became of iterations that nobody counted: (counter, number).

        ``measured`` says how many iterations of a process are in the figures.
        """
        lost = sum(
            granted - self._forgotten.get(member, 0) - measured(member)
            for member, granted in self._dead.items()
        )
        unstarted = self.left + self._outstanding("")
        return [(name, number) for name, number in ((LOST, lost), (UNSTARTED, unstarted)) if number]

    def _outstanding(self, asking: str) -> int:
        """What others may still give back."""
        return sum(
            granted - self._used.get(member, 0)
            for member, granted in self._granted.items()
            if member != asking
        )
