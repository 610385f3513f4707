"""The rows at hand for one group of users: what was read ahead, and what was given back."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Protocol

from gevent.event import Event
from gevent.lock import RLock

from protouser.feeders._row import Row, RowMaker
from protouser.feeders._supply import Supply

__all__ = ["AT_ONCE", "END", "READY", "WAIT", "LocalStock", "Stock"]

READY: Final = "ready"
WAIT: Final = "wait"
END: Final = "end"

#: A row that took less, in seconds, was there; one from a slow source was waited for.
AT_ONCE: Final = 0.001

_READ_AHEAD: Final = 100


class Stock(Protocol):
    """Rows at hand, in a form of the stock's own, which ``row`` makes rows of.

    Attributes:
        changed: set when rows have come, or it is known that none will.
        slow: False where the last rows took no time, and only their turn was waited for.
        makes_rows: True where ``pop`` gives rows as testers know them.
        waiting: how many wait for ``changed``; who waits counts itself.
    """

    changed: Event
    slow: bool
    makes_rows: bool
    waiting: int

    @property
    def ready(self) -> deque[Any]:
        """Rows that nobody has yet."""

    @property
    def popped(self) -> int:
        """How many rows were taken by ``pop``."""

    @property
    def wraps(self) -> int:
        """How often the data began anew, as far as this stock reads them itself."""

    def pop(self) -> Any:
        """A row of those ready; IndexError if there is none."""

    def row(self, popped: Any) -> Row:
        """The row as testers know it; ConfigurationError where a value cannot be converted."""

    def fill(self) -> str:
        """Get rows: READY, WAIT for ``changed``, or END."""

    def give_back(self, popped: list[Any]) -> None:
        """Rows that can go to somebody else."""

    def close(self) -> None:
        """Nobody will ask any more."""


class LocalStock:
    """Rows read and made in this process, a hundred ahead where reading ahead does no harm.

    Attributes:
        pop: takes a row, and may be kept by who takes many; nothing has to be noted for a row.
    """

    slow = True
    makes_rows = True

    def __init__(self, source: Any, supply: Supply, maker: RowMaker, ahead: bool) -> None:
        self.ready: deque[Row] = deque()
        self.pop = self.ready.popleft
        self.changed = Event()
        self.waiting = 0
        self.supply = supply
        self._source = source
        self._maker = maker
        self._ahead = _READ_AHEAD if ahead else 1
        self._put = 0
        self._reading = RLock()

    @property
    def popped(self) -> int:
        """What was ever here and is not any more."""
        return self._put - len(self.ready)

    @property
    def wraps(self) -> int:
        """As the supply counts them."""
        return self.supply.wraps

    def row(self, popped: Row) -> Row:
        """What is here is a row."""
        return popped

    def fill(self) -> str:
        """Read; reading may let others run, who must not read at the same time."""
        with self._reading:
            if self.ready:
                return READY
            self.changed.clear()
            return self._read()

    def give_back(self, popped: list[Row]) -> None:
        """Rows given back are the next ones."""
        self._put += len(popped)
        self.ready.extendleft(reversed(popped))
        self.changed.set()

    def _read(self) -> str:
        records = self.supply.take(self._ahead)
        rows = self._maker.many(self._source.names, records)
        self._put += len(rows)
        self.ready.extend(rows)
        return READY if self.ready else END

    def close(self) -> None:
        """Close the file; nobody gets a row any more."""
        self._put -= len(self.ready)
        self.ready.clear()
        self.supply.close()
        self.changed.set()
