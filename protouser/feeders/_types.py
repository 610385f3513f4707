"""Typed columns, on request only: "00123" is a postcode more often than it is a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from protouser._errors import ConfigurationError

__all__ = ["Types"]

Convert = Callable[[Any], Any]

_TRUE = {"true", "yes", "on", "1", "t", "y"}
_FALSE = {"false", "no", "off", "0", "f", "n"}


class Types:
    """What turns the texts of some columns into values; an empty text becomes None.

    ``bool`` understands true/false, yes/no, on/off and 1/0: Python's own would take every text for
    true.
    """

    def __init__(self, given: Mapping[str, Convert] | None) -> None:
        self._by_name = {name: _boolean if kind is bool else kind for name, kind in _items(given)}
        self._by_place: dict[tuple[str, ...], list[tuple[int, Convert]]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def check_names(self, source: str, names: tuple[str, ...]) -> None:
        """Every typed column has to be there.

        Raises:
            ConfigurationError: one is not.
        """
        unknown = [name for name in self._by_name if name not in names]
        if unknown:
            raise ConfigurationError(
                f"{source}: types= names the column {unknown[0]!r}; there is {', '.join(names)}"
            )

    def apply(
        self, place: str, number: int, names: tuple[str, ...], values: list[Any]
    ) -> list[Any]:
        """The values with those of typed columns converted.

        Raises:
            ConfigurationError: one cannot be converted; the message holds the row and the column.
        """
        converters = self._by_place.get(names)
        if converters is None:
            converters = self._by_place[names] = [
                (names.index(name), kind) for name, kind in self._by_name.items() if name in names
            ]
        for index, convert in converters:
            value = values[index]
            try:
                values[index] = None if value is None or value == "" else convert(value)
            except Exception as error:  # noqa: BLE001  a converter of the tester's may raise any
                kind = getattr(convert, "__name__", repr(convert)).lstrip("_")
                raise ConfigurationError(
                    f"{place}, row {number:,}, column {names[index]!r}: the value is no {kind}"
                    f" ({type(error).__name__})"
                ) from None
        return values


def _items(given: Mapping[str, Convert] | None) -> list[tuple[str, Convert]]:
    items = list((given or {}).items())
    for name, kind in items:
        if not callable(kind):
            raise ConfigurationError(f"types: {name!r} needs a function, as int; not {kind!r}")
    return items


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in _TRUE and text not in _FALSE:
        raise ValueError("not a boolean")
    return text in _TRUE
