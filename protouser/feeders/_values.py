"""What a row of JSON or of a Python iterable holds, brought into the form that sources give.

With columns given, rows are lists in their order; a row that is an object gives those it has of
them. Without, a row that is an object keeps its own names, and a single value is a row with the
column "value".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from protouser._errors import ConfigurationError
from protouser.feeders._types import Types

__all__ = ["Values"]


class Values:
    """Makes rows out of what an iterable yields.

    Attributes:
        names: the columns; None until the first row is known, and where rows bring their own.
    """

    def __init__(self, fields: Sequence[str] | None, required: Iterable[str]) -> None:
        self._given = None if fields is None else tuple(fields)
        self._required = tuple(required)
        self.names = self._given
        self._named: bool | None = None  # whether rows bring their own names, once that is known

    def of(self, place: str, row: Any) -> Any:
        """A list of values, or a dict.

        Raises:
            ConfigurationError: it lacks a column, or is of another kind than those before.
        """
        found = self._mapping(row)
        self._same_kind(place, found is not None)
        if found is not None:
            self._require(place, found, self._given or self._required)
            return found if self._given is None else [found[name] for name in self._given]
        values = _sequence(row)
        if self.names is None:
            self.names = _names_of(row, values)
            self._require(place, self.names, self._required)
        if len(values) != len(self.names):
            raise ConfigurationError(
                f"{place}: it has {len(values)} values for the columns {', '.join(self.names)}"
            )
        return values

    def _same_kind(self, place: str, named: bool) -> None:
        if self._given is None and self._named is (not named):
            raise ConfigurationError(
                f"{place}: the rows before have {'no ' if named else ''}names, and this one has"
                f" {'some' if named else 'none'}; give fields=[...], or rows of one kind"
            )
        self._named = named

    def check_types(self, types: Types, name: str, number: int, row: Any) -> None:
        """Convert a row that will be converted again when it is handed out."""
        names, values = (
            (tuple(row), [*row.values()])
            if isinstance(row, dict)
            else (
                self.names or (),
                [*row],
            )
        )
        if number == 1:
            types.check_names(name, names)
        types.apply(name, number, names, values)

    def _mapping(self, row: Any) -> dict[str, Any] | None:
        if isinstance(row, Mapping):
            return {str(name): value for name, value in row.items()}
        if hasattr(row, "keys"):  # rows of databases
            return {str(name): row[name] for name in row.keys()}  # noqa: SIM118
        return None

    def _require(self, place: str, names: Iterable[str], wanted: Iterable[str]) -> None:
        missing = [name for name in wanted if name not in names]
        if missing:
            there = ", ".join(names)
            raise ConfigurationError(
                f"{place}: the column {missing[0]!r} is missing; there are {there}"
            )


def _sequence(row: Any) -> list[Any]:
    return list(row) if isinstance(row, (tuple, list)) else [row]


def _names_of(row: Any, values: list[Any]) -> tuple[str, ...]:
    names = getattr(row, "_fields", None)
    if names is not None:
        return tuple(names)
    if not isinstance(row, (tuple, list)):
        return ("value",)
    return tuple(f"column{place}" for place in range(1, len(values) + 1))
