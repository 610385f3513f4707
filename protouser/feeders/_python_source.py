"""Any Python iterable, or a function that makes one, as a source of rows."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import suppress
from pathlib import Path
from typing import Any

from protouser._errors import ConfigurationError, FeederExhausted
from protouser._secrets import masked
from protouser._steering import STEERING
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

    @property
    def version(self) -> object:
        """A function makes other rows each time, and what can be iterated may change."""
        return None

    def prepare(self) -> None:
        """Nothing is read before it is needed: it may come from a database, or never end."""
        if self.count == 0:
            raise ConfigurationError(f"{self.name}: there are no rows")

    def lazy(self, order: str) -> bool:
        """True where a row is made when it is asked for, and not there before."""
        return order in ("queue", "circular") and not isinstance(self._rows, (list, tuple, range))

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
        for number, row in enumerate(self._given(), 1):
            made = self._values.of(f"{self.name}, row {number:,}", row)
            self.names = None if isinstance(made, dict) else self._values.names
            yield made

    def _given(self) -> Iterator[Any]:
        """What the tester's own code gives; where it raises, that is not the end of the rows."""
        number = 0
        try:
            for row in self._rows() if callable(self._rows) else self._rows:
                number += 1
                yield row
        except (ConfigurationError, FeederExhausted, *STEERING):
            raise
        except Exception as error:  # noqa: BLE001  the tester's own code may raise any
            reason = masked(f"{type(error).__name__}: {error}".rstrip(": "))
            raise ConfigurationError(
                f"{self.name}: row {number + 1:,} could not be made: {reason}{_place_of(error)}"
            ) from None  # its own traceback would show what is masked


def _place_of(error: Exception) -> str:
    """File and line where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


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
            with suppress(ValueError):  # it is just making a row, which is nobody's any more
                close()
