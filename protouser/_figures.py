"""What was measured, as plain data that adds up: over time, over names and over workers.

A worker sends what is new since its last report and, at the end, everything once more; so
``Figures`` knows two operations, merging and taking what is new, and nothing of Locust.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from protouser._histogram import LARGEST, Histogram
from protouser._names import EVERY_NAME, Names

__all__ = [
    "CANCELLED",
    "FAILURE",
    "ONE_WAY",
    "RESPONSE",
    "SERVICE",
    "SKIPPED",
    "SUCCESS",
    "WARM_UP",
    "Figures",
    "Key",
]

SUCCESS: Final = "success"
FAILURE: Final = "failure"
CANCELLED: Final = "cancelled"
ONE_WAY: Final = "one_way"
SKIPPED: Final = "skipped"
WARM_UP: Final = "warm_up"

SERVICE: Final = "service"
RESPONSE: Final = "response"

Key = tuple[str, str, str, str]
_K = TypeVar("_K", bound=tuple[str, ...])
_V = TypeVar("_V")


class Figures:
    """Histograms by (type, name, series, outcome), plain counts, counters, trends and gauges.

    ``timed`` holds calls that have a duration, ``counted`` those that have none (one-way,
    cancelled, skipped) by (type, name, outcome), ``counters`` by (type, name, counter), ``trends``
    a tester's own values by name, as a histogram of value x 1e9, and ``gauges`` by name how often
    something was looked at, the sum and the maximum of what was seen.

    ``names`` says which rows there may be, for all that share it; without it there may be any.
    """

    __slots__ = ("_names", "counted", "counters", "gauges", "timed", "trends")

    def __init__(self, names: Names | None = None) -> None:
        self._names = names or EVERY_NAME
        self.timed: dict[Key, Histogram] = {}
        self.counted: dict[tuple[str, str, str], int] = {}
        self.counters: dict[tuple[str, str, str], int] = {}
        self.trends: dict[str, Histogram] = {}
        self.gauges: dict[str, tuple[int, float, float]] = {}

    def record(self, type_: str, name: str, series: str, outcome: str, nanoseconds: int) -> None:
        """Count one duration."""
        self.histogram((type_, name, series, outcome)).record(nanoseconds)

    def histogram(self, key: Key) -> Histogram:
        """The histogram for a (type, name, series, outcome), made on first use."""
        found = self.timed.get(key)
        if found is None:
            found = self.timed.setdefault(self._names.timed(key), Histogram())
        return found

    def count(self, type_: str, name: str, outcome: str) -> None:
        """Count one call that has no duration."""
        self._count((type_, name, outcome), 1)

    def add(self, type_: str, name: str, counter: str, value: int = 1) -> None:
        """Add to a counter beside the calls, such as reconnects or lost messages.

        Raises:
            TypeError: the value is not a whole number.
        """
        try:
            whole = operator.index(value)
        except TypeError:
            raise TypeError(f"counter {counter!r} takes whole numbers, not {value!r}") from None
        self._add((type_, name, counter), whole)

    def trend(self, name: str, value: float) -> None:
        """Count one value of a tester's own trend; it must be finite and not negative."""
        self._trend(name).record(round(float(min(value, LARGEST)) * 1e9))

    def gauge(self, name: str, value: float) -> None:
        """Note what something stands at now, such as users or a CPU."""
        self._gauge(name, (1, value, value))

    def merge(self, other: Figures) -> None:
        """Add everything that ``other`` holds."""
        for key, histogram in other.timed.items():
            self.histogram(key).merge(histogram)
        for name, trend in other.trends.items():
            self._trend(name).merge(trend)
        for row, count in other.counted.items():
            self._count(row, count)
        for counter, value in other.counters.items():
            self._add(counter, value)
        for name, seen in other.gauges.items():
            self._gauge(name, seen)

    def without_times(self) -> Figures:
        """Counts, counters and gauges alone, shared with this one."""
        figures = Figures()
        figures.counted, figures.counters = self.counted, self.counters
        figures.gauges = self.gauges
        return figures

    def only(self, wanted: Callable[[str, str], bool]) -> Figures:
        """The rows of which ``wanted(type, name)`` is true, and all trends and gauges; shared."""
        figures = Figures()
        figures.timed = _wanted(self.timed, wanted)
        figures.counted = _wanted(self.counted, wanted)
        figures.counters = _wanted(self.counters, wanted)
        figures.trends, figures.gauges = self.trends, self.gauges
        return figures

    def outcome(self, type_: str, name: str, outcome: str) -> int:
        """How many calls of a row ended with this outcome."""
        histogram = self.timed.get((type_, name, SERVICE, outcome))
        return (histogram.count if histogram else 0) + self.counted.get((type_, name, outcome), 0)

    def rows(self) -> list[tuple[str, str]]:
        """Every (type, name) that was called, sorted by their text.

        What has other series only, such as a schedule, was not called.
        """
        timed = {(key[0], key[1]) for key in self.timed if key[2] == SERVICE}
        counted = {(key[0], key[1]) for key in self.counted}
        return sorted(timed | counted, key=lambda row: (str(row[0]), str(row[1])))

    def total(self, outcome: str) -> int:
        """How many calls of all rows ended with this outcome."""
        return sum(self.outcome(type_, name, outcome) for type_, name in self.rows())

    def __bool__(self) -> bool:
        return bool(self.timed or self.counted or self.counters or self.trends or self.gauges)

    def to_wire(self) -> dict[str, Any]:
        """Lists, strings and integers of 64 bits only: what Locust's messages carry.

        Counters are hexadecimal text: what a tester adds up may need more bits.
        """
        return {
            "timed": [[*key, histogram.to_wire()] for key, histogram in self.timed.items()],
            "counted": [[*key, value] for key, value in self.counted.items()],
            "counters": [[*key, f"{value:x}"] for key, value in self.counters.items()],
            "trends": [[name, histogram.to_wire()] for name, histogram in self.trends.items()],
            "gauges": [[name, *seen] for name, seen in self.gauges.items()],
        }

    @classmethod
    def from_wire(cls, data: dict[str, Any]) -> Figures:
        """The figures that ``to_wire`` wrote."""
        figures = cls()
        figures.timed = {key: Histogram.from_wire(flat) for key, flat in _keyed(data["timed"])}
        figures.counted = dict(_keyed(data["counted"]))
        figures.counters = {key: int(text, 16) for key, text in _keyed(data["counters"])}
        figures.trends = {name: Histogram.from_wire(flat) for name, flat in data["trends"]}
        figures.gauges = {name: tuple(seen) for name, *seen in data["gauges"]}
        return figures

    def _count(self, key: tuple[str, str, str], value: int) -> None:
        if key not in self.counted:
            key = self._names.counted(key)
        self.counted[key] = self.counted.get(key, 0) + value

    def _add(self, key: tuple[str, str, str], value: int) -> None:
        if key not in self.counters:
            key = self._names.counter(key)
        self.counters[key] = self.counters.get(key, 0) + value

    def _trend(self, name: str) -> Histogram:
        found = self.trends.get(name)
        if found is None:
            found = self.trends.setdefault(self._names.trend(name), Histogram())
        return found

    def _gauge(self, name: str, seen: tuple[int, float, float]) -> None:
        if name not in self.gauges:
            name = self._names.gauge(name)
        before = self.gauges.get(name)
        if before is not None:
            seen = (before[0] + seen[0], before[1] + seen[1], max(before[2], seen[2]))
        self.gauges[name] = seen


def _keyed(rows: list[list[Any]]) -> Iterator[tuple[Any, Any]]:
    return ((tuple(row[:-1]), row[-1]) for row in rows)


def _wanted(of: dict[_K, _V], wanted: Callable[[str, str], bool]) -> dict[_K, _V]:
    return {key: what for key, what in of.items() if wanted(key[0], key[1])}
