"""What other parts add to the results: rows for the JSON file, the web UI and thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Section", "Sections"]


@dataclass(frozen=True)
class Section:
    """A table of the results.

    Attributes:
        key: the member of the JSON document.
        title: the tab of the web UI; without one there is no tab.
        rows: asked for on the master, at any time, for dictionaries of text and numbers that JSON
            can hold; all with the same keys.
        lines: what is said about it under the summary.
        hidden: members of the rows that are for programs, and in no tab.
        member: what JSON has instead of the rows, where it is more than a table.
    """

    key: str
    title: str
    rows: Callable[[], list[dict[str, Any]]]
    lines: Callable[[], Iterable[str]] = tuple
    member: Callable[[], dict[str, Any]] | None = None
    hidden: frozenset[str] = frozenset()

    def as_json(self) -> Any:
        """What the JSON document has of it."""
        return self.rows() if self.member is None else self.member()


class Sections:
    """The sections of one session, in the order in which they were added."""

    def __init__(self) -> None:
        self._all: dict[str, Section] = {}
        self._lines: list[Callable[[], Iterable[str]]] = []

    def add(self, section: Section) -> None:
        """Add a section, or replace that of the same key."""
        self._all[section.key] = section

    def add_lines(self, lines: Callable[[], Iterable[str]]) -> None:
        """Say something under the summary, behind what the sections say."""
        self._lines.append(lines)

    def __iter__(self) -> Iterator[Section]:
        return iter(list(self._all.values()))

    def rows(self, key: str) -> list[dict[str, Any]]:
        """The rows of a section; none where nobody added it."""
        section = self._all.get(key)
        return section.rows() if section else []

    def as_json(self, key: str) -> Any:
        """What the JSON document has of a section; None where nobody added it."""
        section = self._all.get(key)
        return section.as_json() if section else None

    def lines(self) -> list[str]:
        """What all sections say under the summary."""
        said = [*(section.lines for section in self), *self._lines]
        return [line for lines in said for line in lines()]
