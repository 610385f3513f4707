"""Which charts a page has, made from the time line of a document of results."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from protouser._duration import duration
from protouser._figures import FAILURE, ONE_WAY, SUCCESS
from protouser._headings import OUTCOMES, PERCENTILES, is_telling, member
from protouser._quantity import quantity
from protouser._transaction import counts_in_totals
from protouser.page._chart import BLUE, GREEN, ORANGE, PALETTE, RED, SKY, Chart, Line, Mark
from protouser.page._scale import linear, logarithmic

__all__ = ["charts"]

_MOST_ROWS: Final = 12
_MOST_LINES: Final = len(PALETTE)
_PERCENTILES: Final = {"p50": BLUE, "p95": ORANGE, "p99": RED}
_OUTCOMES: Final = {SUCCESS: GREEN, ONE_WAY: SKY, FAILURE: RED}
#: What comes of a run is no call, and has figures of its own.
_NO_CALLS: Final = ("schedule", "feeder")
_SHORTEST: Final = 0.25
_MOST_MONITORED: Final = 60
#: p99.99 has four nines; a little more, so that its name is not cut.
_LAST_NINES: Final = 4.15

_Row = tuple[str, str]
_Calls = dict[_Row, dict[tuple[str, str], dict[str, Any]]]


class _Time:
    """The horizontal axis that all charts of one run share, and what happened along it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.slices: list[dict[str, Any]] = document["timeline"]
        self._whole = max(float(document["run"]["duration"]), 1e-3)
        self.marks = [
            *(Mark(self._place(each["begin"]), each["name"], True) for each in document["stages"]),
            *(Mark(self._place(each["at"]), each["text"]) for each in document["annotations"]),
        ]
        self.places = [self._place(each["at"] + each["seconds"] / 2) for each in self.slices]
        self.words = [_clock(each["at"]) for each in self.slices]
        step = linear([self._whole]).ticks[1]
        ticks = [number * step for number in range(int(self._whole / step) + 1)]
        self.axis = [(self._place(tick), _clock(tick)) for tick in ticks]
        self.calls = [_by_row(each["calls"]) for each in self.slices]

    def _place(self, second: float) -> float:
        return min(max(second / self._whole, 0.0), 1.0)

    def chart(self, title: str, lines: Sequence[Line], **more: Any) -> Chart:
        """A chart over the time; from zero unless it has a scale."""
        drawn = {"scale": linear(_values(lines)), "unit": quantity, "marks": self.marks, **more}
        return Chart(title, self.places, self.words, lines=lines, axis=self.axis, **drawn)


def charts(document: dict[str, Any]) -> Iterator[tuple[str, list[Chart]]]:
    """Groups of charts with their headings; a group without charts is left out."""
    time = _Time(document)
    if not time.slices:
        return
    rows = _busiest(document["calls"])
    groups = {
        "Load": [_rates(time), *_users(time)],
        "Times of successful calls": [_times(time, row) for row in rows],
        "Percentiles of the whole run": _distribution(document["calls"], rows),
        "Load generator": list(_generator(time)),
        "Monitored": list(_monitored(time, document.get("monitors") or [])),
    }
    yield from ((heading, group) for heading, group in groups.items() if group)


def _by_row(calls: Iterable[dict[str, Any]]) -> _Calls:
    found: _Calls = defaultdict(dict)
    for call in calls:
        if call["type"] not in _NO_CALLS:
            row = (str(call["type"]), str(call["name"]))
            found[row][call["series"], call["outcome"]] = call
    return found


def _busiest(calls: Iterable[dict[str, Any]]) -> list[_Row]:
    """The rows with the most successes that were timed, the first ones first."""
    timed = {
        row: found["service", "success"]["count"]
        for row, found in _by_row(calls).items()
        if found.get(("service", "success"), {}).get("p50_ns") is not None
    }
    return sorted(sorted(timed), key=lambda row: -timed[row])[:_MOST_ROWS]


def _rates(time: _Time) -> Chart:
    lines = []
    for outcome, colour in _OUTCOMES.items():
        counts = [_total(calls, outcome) for calls in time.calls]
        if any(counts):
            rates = [_rate(count, each) for count, each in zip(counts, time.slices, strict=True)]
            lines.append(Line(OUTCOMES[outcome], colour, rates))
    return time.chart("Calls per second", lines)


def _total(calls: _Calls, outcome: str) -> int:
    counted = [found for (type_, _), found in calls.items() if counts_in_totals(type_)]
    return sum(found.get(("service", outcome), {}).get("count", 0) for found in counted)


def _rate(count: int, slice_: dict[str, Any]) -> float | None:
    """Calls per second; what is left of a second at the end is too short to tell."""
    seconds = slice_["seconds"]
    return count / seconds if seconds > _SHORTEST else None


def _users(time: _Time) -> Iterator[Chart]:
    if values := _gauge(time, "users", "max"):
        yield time.chart("Users", [Line("users", BLUE, values)])


def _times(time: _Time, row: _Row) -> Chart:
    found = [calls.get(row, {}) for calls in time.calls]
    scheduled = any(("response", "success") in each for each in found)
    series = "response" if scheduled else "service"
    timed = [each.get((series, "success"), {}) for each in found]
    lines = [
        Line(heading, colour, [each.get(member(heading)) for each in timed])
        for heading, colour in _PERCENTILES.items()
    ]
    spots = [each.get(("service", "failure"), {}).get("count", 0) for each in found]
    title = " ".join(row) + (" (response time)" if scheduled else "")
    scale = logarithmic(_values(lines))
    return time.chart(title, lines, scale=scale, unit=duration, spots=spots)


def _distribution(calls: Iterable[dict[str, Any]], rows: Sequence[_Row]) -> list[Chart]:
    by_row = _by_row(calls)
    lines = []
    for row, colour in zip(rows, PALETTE, strict=False):
        found = by_row[row]
        timed = found.get(("response", "success")) or found["service", "success"]
        lines.append(Line(" ".join(row), colour, list(_where_enough(timed))))
    if not lines:
        return []
    places = [-math.log10(1 - share) / _LAST_NINES for share in PERCENTILES.values()]
    words = list(PERCENTILES)
    axis = list(zip(places, words, strict=True))
    scale = logarithmic(_values(lines))
    return [Chart("Time by percentile", places, words, scale, duration, lines, axis=axis)]


def _where_enough(timed: dict[str, Any]) -> Iterator[float | None]:
    """The percentiles that are another value than the maximum."""
    for heading in PERCENTILES:
        yield timed[member(heading)] if is_telling(heading, timed["count"]) else None


def _values(lines: Iterable[Line]) -> list[float]:
    return [value for line in lines for value in line.values if value is not None]


def _generator(time: _Time) -> Iterator[Chart]:
    for gauge, title, unit, factor in (
        ("generator.cpu", "Cores used by each process", quantity, 1.0),
        ("generator.lag", "Event loop late by (p99)", duration, 1e9),
    ):
        lines = []
        for number, name in enumerate(sorted(_gauges(time, gauge))[:_MOST_LINES]):
            values = [None if v is None else v * factor for v in _gauge(time, name, "max")]
            label = name.removeprefix(gauge).removeprefix(".") or "this process"
            label = f"worker {label}" if label.isdecimal() else label
            lines.append(Line(label, PALETTE[number], values))
        if lines:
            yield time.chart(title, lines, unit=unit)


def _monitored(time: _Time, monitors: Iterable[dict[str, Any]]) -> Iterator[Chart]:
    for row in islice(monitors, _MOST_MONITORED):
        name = f"{row['monitor']}.{row['series']}"
        if values := _gauge(time, name, "mean"):
            label = f"{row['monitor']} {row['series']}"
            yield time.chart(label, [Line(str(row["monitor"]), BLUE, values)])


def _gauges(time: _Time, prefix: str) -> set[str]:
    names = {name for each in time.slices for name in each["gauges"]}
    return {name for name in names if name == prefix or name.startswith(f"{prefix}.")}


def _gauge(time: _Time, name: str, figure: str) -> list[float | None]:
    """The values of a gauge by slice; nothing if it was never set."""
    values = [each["gauges"].get(name, {}).get(figure) for each in time.slices]
    return values if any(value is not None for value in values) else []


def _clock(second: float) -> str:
    minutes, seconds = divmod(int(second), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
