"""How many names the results may have: what comes after that is counted together.

A name that holds an id or a timestamp would make every call a row of its own, in memory, on the
wire and in every report. A row beyond the limit becomes part of the overflow row; nothing that was
measured is lost, only its name.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable
from typing import Final

__all__ = ["EVERY_NAME", "OTHER_NAMES", "Names", "as_name"]

logger = logging.getLogger(__name__)

#: The name of the overflow row; its type is empty.
OTHER_NAMES: Final = "(other names)"

_MOST_ROWS: Final = 1000
_MOST: Final = 200
_ROW: Final = ("", OTHER_NAMES)
_ADVICE: Final = "a name should hold no id and no time; name= gives a call another one"


def as_name(name: object) -> str:
    """A name as every file and every message of a worker can hold it, whatever a tester took.

    Half of a surrogate pair, as the JSON of a cut emoji holds it, is written as its escape.
    """
    text = str.__str__(name) if isinstance(name, str) else str(name)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


class Names:
    """The names of one test, first come, first served: rows, series, counters, trends, gauges."""

    __slots__ = ("_known", "_most_others", "_most_rows")

    def __init__(self, most_rows: int = _MOST_ROWS, most_others: int = _MOST) -> None:
        self._most_rows = most_rows
        self._most_others = most_others
        self._known: dict[str, set[Hashable]] = {}

    def timed(self, key: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
        """The key that a (type, name, series, outcome) is counted under."""
        type_, name, series, outcome = key
        return (*self._row(type_, name), self._one_of("series", series), outcome)

    def counted(self, key: tuple[str, str, str]) -> tuple[str, str, str]:
        """The key that a (type, name, outcome) is counted under."""
        type_, name, outcome = key
        return (*self._row(type_, name), outcome)

    def counter(self, key: tuple[str, str, str]) -> tuple[str, str, str]:
        """The key that a (type, name, counter) is counted under."""
        type_, name, counter = key
        return (*self._row(type_, name), self._one_of("counters", counter))

    def trend(self, name: str) -> str:
        """The name that a trend is counted under."""
        return self._one_of("trends", name)

    def gauge(self, name: str) -> str:
        """The name that a gauge is kept under."""
        return self._one_of("gauges", name)

    def _row(self, type_: str, name: str) -> tuple[str, str]:
        row = (as_name(type_), as_name(name))
        return row if self._admits("names", row, self._most_rows) else _ROW

    def _one_of(self, kind: str, name: str) -> str:
        text = as_name(name)
        return text if self._admits(kind, text, self._most_others) else f"(other {kind})"

    def _admits(self, kind: str, name: Hashable, most: int) -> bool:
        known = self._known.setdefault(kind, set())
        if name in known:
            return True
        if len(known) < most:
            known.add(name)
            if len(known) == most:
                text = "%d different %s: further ones are counted together as '(other %s)'; %s"
                logger.warning(text, most, kind, kind, _ADVICE)
            return True
        return False


class _EveryName(Names):
    """For figures that others have counted already, and in memory of a moment."""

    def _admits(self, kind: str, name: Hashable, most: int) -> bool:
        return True


#: Admits everything, and remembers nothing.
EVERY_NAME: Final = _EveryName()
