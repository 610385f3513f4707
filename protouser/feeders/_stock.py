"""The rows at hand for one group of users: what was read ahead, and what was given back."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Protocol

from gevent.event import Event
from gevent.lock import RLock

from protouser.feeders._supply import Record, Supply

__all__ = ["END", "READY", "WAIT", "LocalStock", "Stock"]

READY: Final = "ready"
WAIT: Final = "wait"
END: Final = "end"

_READ_AHEAD: Final = 100


class Stock(Protocol):
    """Rows at hand.

    Attributes:
        ready: rows that nobody has yet.
        names: the columns, or None where each row brings its own.
        changed: set when rows have come, or it is known that none will.
    """

    changed: Event

    @property
    def ready(self) -> deque[Record]:
        """Rows that nobody has yet."""

    @property
    def names(self) -> tuple[str, ...] | None: ...

    def pop(self) -> Record:
        """A row of those ready; IndexError if there is none."""

    def fill(self) -> str:
        """Get rows: READY, WAIT for ``changed``, or END."""

    def give_back(self, records: list[Record]) -> None:
        """Rows that can go to somebody else."""

    def close(self) -> None:
        """Nobody will ask any more."""


class LocalStock:
    """Rows read in this process, a hundred ahead where reading ahead does no harm."""

    def __init__(self, source: Any, supply: Supply, ahead: bool) -> None:
        self.ready: deque[Record] = deque()
        self.pop = self.ready.popleft
        self.changed = Event()
        self.supply = supply
        self._source = source
        self._ahead = _READ_AHEAD if ahead else 1
        self._reading = RLock()

    @property
    def names(self) -> tuple[str, ...] | None:
        """As the source has them."""
        names: tuple[str, ...] | None = self._source.names
        return names

    def fill(self) -> str:
        """Read; reading may let others run, who must not read at the same time."""
        with self._reading:
            if self.ready:
                return READY
            self.changed.clear()
            self.ready.extend(self.supply.take(self._ahead))
            return READY if self.ready else END

    def give_back(self, records: list[Record]) -> None:
        """Rows given back are the next ones."""
        self.ready.extendleft(reversed(records))
        self.changed.set()

    def close(self) -> None:
        """Close the file."""
        self.supply.close()
        self.changed.set()
