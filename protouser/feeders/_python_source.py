"""Any Python iterable, or a function that makes one, as a source of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from protouser._errors import ConfigurationError
from protouser.feeders._source import HeldRows, Pass, Table
from protouser.feeders._values import Values

__all__ = ["PythonSource"]


class PythonSource:
    """Rows from Python: objects, tuples or single values."""

    def __init__(
        self, rows: Iterable[Any] | Callable[[], Iterable[Any]], name: str, values: Values
    ) -> None:
        self._rows = rows
        self._values = values
        self._held: HeldRows | None = None
        self.name = name
        self.names: tuple[str, ...] | None = values.names
        self.count: int | None = len(rows) if isinstance(rows, Sized) else None
        self.again = callable(rows) or iter(rows) is not rows

    def prepare(self) -> None:
        """Nothing is read before it is needed: it may come from a database, or never end."""
        if self.count == 0:
            raise ConfigurationError(f"{self.name}: there are no rows")

    def open(self) -> Pass:
        """Begin to iterate; an iterator goes on where it is."""
        return _PythonPass(self)

    def table(self) -> Table:
        """All rows by number, held in memory."""
        if self._held is None:
            self._held = HeldRows(list(self.open()))
            self.count = len(self._held)
            self.prepare()
        return self._held

    def iterate(self) -> Iterator[Any]:
        """The rows, with their names known as soon as there is one."""
        rows = self._rows() if callable(self._rows) else self._rows
        for number, row in enumerate(rows, 1):
            made = self._values.of(f"{self.name}, row {number:,}", row)
            self.names = None if isinstance(made, dict) else self._values.names
            yield made


class _PythonPass:
    """One iteration."""

    def __init__(self, source: PythonSource) -> None:
        self._rows = source.iterate()

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def verify(self) -> None:
        """What Python gave is what it gave."""

    def close(self) -> None:
        """Let go of the iterator."""
        close = getattr(self._rows, "close", None)
        if close is not None:
            close()
