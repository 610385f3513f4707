"""Where rows come from: what every source can do, and the rows that a source holds in memory.

A source gives plain values, which cross the wire as they are. Types and names come later, where a
row is handed out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

__all__ = ["HeldRows", "Pass", "Source", "Table", "Values"]

#: The values of one row: a sequence, or a dict where every row brings its own names.
Values = Any


class Pass(Protocol):
    """One reading of a source from its beginning."""

    def __iter__(self) -> Iterator[Values]: ...

    def verify(self) -> None:
        """Make sure that what was read is still what the source holds; raises otherwise."""

    def close(self) -> None:
        """Give back what is open."""


class Table(Protocol):
    """The rows of a source by their number, from 0."""

    def __len__(self) -> int: ...

    def rows(self, numbers: Sequence[int]) -> list[Values]:
        """The rows of these numbers."""

    def verify(self) -> None:
        """As of a pass."""

    def close(self) -> None:
        """Give back what is open."""


class Source(Protocol):
    """Rows in an order of their own.

    Attributes:
        name: what messages call it.
        names: the columns, once prepared; None where every row is a dict.
        count: how many rows there are, where that is known once prepared.
        again: True when it can be read more than once.
        version: differs once the data that are prepared are others; None where rows of an earlier
            reading are of no use.
    """

    name: str
    names: tuple[str, ...] | None
    count: int | None
    again: bool

    @property
    def version(self) -> object: ...

    def prepare(self) -> None:
        """Look at it, and check what can be checked before the load starts.

        Raises:
            ConfigurationError: what is wrong, and where.
        """

    def open(self) -> Pass:
        """Begin to read."""

    def table(self) -> Table:
        """All rows, by number."""


class HeldRows:
    """Rows in memory, as a table and as something to pass through."""

    def __init__(self, rows: list[Values]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[Values]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, numbers: Sequence[int]) -> list[Values]:
        """The rows of these numbers."""
        rows = self._rows
        return [rows[number] for number in numbers]

    def verify(self) -> None:
        """Nothing that is in memory changes."""

    def close(self) -> None:
        """Nothing is open."""
