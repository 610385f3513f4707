"""What was measured, as plain data that adds up: over time, over names and over workers.

A worker sends what is new since its last report and, at the end, everything once more; so
``Figures`` knows two operations, merging and taking what is new, and nothing of Locust.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from protouser._histogram import LARGEST, Histogram

__all__ = [
    "CANCELLED",
    "FAILURE",
    "ONE_WAY",
    "RESPONSE",
    "SERVICE",
    "SKIPPED",
    "SUCCESS",
    "Figures",
]

SUCCESS: Final = "success"
FAILURE: Final = "failure"
CANCELLED: Final = "cancelled"
ONE_WAY: Final = "one_way"
SKIPPED: Final = "skipped"

SERVICE: Final = "service"
RESPONSE: Final = "response"

Key = tuple[str, str, str, str]
_K = TypeVar("_K")


class Figures:
    """Histograms by (type, name, series, outcome), plain counts, counters and trends.

    ``timed`` holds calls that have a duration, ``counted`` those that have none (one-way,
    cancelled, skipped) by (type, name, outcome), ``counters`` by (type, name, counter), and
    ``trends`` a tester's own values by name, as a histogram of value x 1e9.
    """

    __slots__ = ("counted", "counters", "timed", "trends")

    def __init__(self) -> None:
        self.timed: dict[Key, Histogram] = {}
        self.counted: dict[tuple[str, str, str], int] = {}
        self.counters: dict[tuple[str, str, str], int] = {}
        self.trends: dict[str, Histogram] = {}

    def record(self, type_: str, name: str, series: str, outcome: str, nanoseconds: int) -> None:
        """Count one duration."""
        key = (type_, name, series, outcome)
        histogram = self.timed.get(key)
        if histogram is None:
            histogram = self.timed[key] = Histogram()
        histogram.record(nanoseconds)

    def count(self, type_: str, name: str, outcome: str) -> None:
        """Count one call that has no duration."""
        key = (type_, name, outcome)
        self.counted[key] = self.counted.get(key, 0) + 1

    def add(self, type_: str, name: str, counter: str, value: int = 1) -> None:
        """Add to a counter beside the calls, such as reconnects or lost messages.

        Raises:
            TypeError: the value is not a whole number.
        """
        try:
            whole = operator.index(value)
        except TypeError:
            raise TypeError(f"counter {counter!r} takes whole numbers, not {value!r}") from None
        key = (type_, name, counter)
        self.counters[key] = self.counters.get(key, 0) + whole

    def trend(self, name: str, value: float) -> None:
        """Count one value of a tester's own trend; it must be finite and not negative."""
        histogram = self.trends.get(name)
        if histogram is None:
            histogram = self.trends[name] = Histogram()
        histogram.record(round(float(min(value, LARGEST)) * 1e9))

    def merge(self, other: Figures) -> None:
        """Add everything that ``other`` holds."""
        _merge_histograms(self.timed, other.timed)
        _merge_histograms(self.trends, other.trends)
        _merge_counts(self.counted, other.counted)
        _merge_counts(self.counters, other.counters)

    def outcome(self, type_: str, name: str, outcome: str) -> int:
        """How many calls of a row ended with this outcome."""
        histogram = self.timed.get((type_, name, SERVICE, outcome))
        return (histogram.count if histogram else 0) + self.counted.get((type_, name, outcome), 0)

    def rows(self) -> list[tuple[str, str]]:
        """Every (type, name) that was called, sorted by their text."""
        timed = {(key[0], key[1]) for key in self.timed}
        counted = {(key[0], key[1]) for key in self.counted}
        return sorted(timed | counted, key=lambda row: (str(row[0]), str(row[1])))

    def total(self, outcome: str) -> int:
        """How many calls of all rows ended with this outcome."""
        return sum(self.outcome(type_, name, outcome) for type_, name in self.rows())

    def __bool__(self) -> bool:
        return bool(self.timed or self.counted or self.counters or self.trends)

    def to_wire(self) -> dict[str, Any]:
        """Lists, strings and integers of 64 bits only: what Locust's messages carry.

        Counters are hexadecimal text: what a tester adds up may need more bits.
        """
        return {
            "timed": [[*key, histogram.to_wire()] for key, histogram in self.timed.items()],
            "counted": [[*key, value] for key, value in self.counted.items()],
            "counters": [[*key, f"{value:x}"] for key, value in self.counters.items()],
            "trends": [[name, histogram.to_wire()] for name, histogram in self.trends.items()],
        }

    @classmethod
    def from_wire(cls, data: dict[str, Any]) -> Figures:
        """The figures that ``to_wire`` wrote."""
        figures = cls()
        figures.timed = {key: Histogram.from_wire(flat) for key, flat in _keyed(data["timed"])}
        figures.counted = dict(_keyed(data["counted"]))
        figures.counters = {key: int(text, 16) for key, text in _keyed(data["counters"])}
        figures.trends = {name: Histogram.from_wire(flat) for name, flat in data["trends"]}
        return figures


def _keyed(rows: list[list[Any]]) -> Iterator[tuple[Any, Any]]:
    return ((tuple(row[:-1]), row[-1]) for row in rows)


def _merge_histograms(into: dict[_K, Histogram], other: dict[_K, Histogram]) -> None:
    for key, histogram in other.items():
        into.setdefault(key, Histogram()).merge(histogram)


def _merge_counts(into: dict[_K, int], other: dict[_K, int]) -> None:
    for key, value in other.items():
        into[key] = into.get(key, 0) + value
