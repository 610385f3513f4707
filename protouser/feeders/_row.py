"""Rows of test data: tuples whose fields have names.

A row class is made once for each set of columns, so that a row costs little more than its tuple.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, KeysView, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from protouser.feeders._types import Types

__all__ = ["Row", "RowMaker", "row_class"]

_KINDS = 1000


class Row(tuple[Any, ...]):
    """One row: ``row.user``, ``row["user"]``, ``row[0]``, ``user, password = row``, ``dict(row)``.

    ``**row`` works too. A column named like a method of rows is reached as ``row["keys"]``. What
    is printed of a row is where it came from, not what it holds: it may be a password.

    Attributes:
        number: its place in the data, from 1; a header does not count.
        file: the name of what it was read from.
    """

    file: ClassVar[str] = ""
    _places: ClassVar[dict[str, int]] = {}
    number: int = 0

    def __getitem__(self, key: Any) -> Any:
        if key.__class__ is not str:
            return tuple.__getitem__(self, key)
        try:
            return tuple.__getitem__(self, self._places[key])
        except KeyError:
            raise KeyError(f"{self.file} has no column {key!r}; it has {self._columns()}") from None

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self.file} has no column {name!r}; it has {self._columns()}")

    def __repr__(self) -> str:
        return f"<row {self.number} of {self.file}: {self._columns()}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.file, tuple(self._places), tuple(self), self.number)

    def keys(self) -> KeysView[str]:
        """The names of the columns, in the order of the data."""
        return self._places.keys()

    def get(self, column: str, default: Any = None) -> Any:
        """The value of a column, or ``default`` where the row has none of that name."""
        place = self._places.get(column)
        return default if place is None else tuple.__getitem__(self, place)

    @classmethod
    def _columns(cls) -> str:
        return ", ".join(cls._places) or "no columns"


@lru_cache(maxsize=_KINDS)
def row_class(file: str, names: tuple[str, ...]) -> type[Row]:
    """The class of the rows of a file with these columns."""
    places = {name: place for place, name in enumerate(names)}
    fields = {name: _field(place) for name, place in places.items() if not hasattr(Row, name)}
    return type("Row", (Row,), {**fields, "file": file, "_places": places, "__module__": __name__})


class RowMaker:
    """Makes rows of what a source gives: with their names, their numbers, and converted values.

    Attributes:
        converts: true where values may be found wrong when a row is made.
    """

    def __init__(self, file: str, types: Types) -> None:
        self._file = file
        self._types = types
        self.converts = bool(types)

    def one(self, names: tuple[str, ...] | None, number: int, values: Any) -> Row:
        """One row; without names, the values bring their own.

        Raises:
            ConfigurationError: a value cannot be converted.
        """
        if names is None:
            names, values = tuple(values), [*values.values()]
        if self._types:
            values = self._types.apply(self._file, number, names, [*values])
        row = row_class(self._file, names)(values)
        row.number = number
        return row

    def many(
        self, names: tuple[str, ...] | None, records: Sequence[tuple[int, Any]]
    ) -> Sequence[Row]:
        """As ``one``, for all of these numbers and values."""
        if names is None or self._types:
            return [self.one(names, number, values) for number, values in records]
        numbers, texts = zip(*records, strict=True) if records else ((), ())
        rows = list(map(row_class(self._file, names), texts))
        for number, row in zip(numbers, rows, strict=True):
            row.number = number
        return rows


def _field(place: int) -> property:
    get: Callable[[Row, int], Any] = tuple.__getitem__
    return property(lambda row: get(row, place))


def _rebuilt(file: str, names: tuple[str, ...], values: Iterable[Any], number: int) -> Row:
    row = row_class(file, names)(values)
    row.number = operator.index(number)
    return row
