"""What a threshold looks at, read from figures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from protouser._figures import FAILURE, ONE_WAY, RESPONSE, SERVICE, SUCCESS, Figures
from protouser._histogram import Histogram
from protouser._schedule import SCHEDULE, schedules
from protouser._transaction import counts_in_totals
from protouser.thresholds._threshold import RATE, SHARE, Threshold

__all__ = ["Measured", "Reading", "readings"]

#: The labels behind a name.
_LABELS: Final = re.compile(r"\{.*\}(/s)?$")
#: Gauges of the generator itself.
_NO_SERVER: Final = "generator."
_CALLS = (SUCCESS, FAILURE, ONE_WAY)
#: What is said of slots, and what it is a share of.
SLOTS: Final = {"dropped": "planned", "late": "started"}


class Measured(NamedTuple):
    """What there is to read.

    Attributes:
        figures: of the whole test, or a part of it.
        seconds: how long that was.
        gauges: mean values of every slice by gauge.
    """

    figures: Figures
    seconds: float
    gauges: dict[str, list[float]]


class Reading(NamedTuple):
    """A value, None where there was nothing to measure, and of which row."""

    row: str
    value: float | None


def readings(threshold: Threshold, measured: Measured) -> list[Reading]:
    """The value of a threshold's figure; several where each row counts for itself."""
    of = threshold.figure.of
    if of == "trend":
        trend = measured.figures.trends.get(threshold.figure.subject)
        value = _of_histogram(threshold, trend)
        return [Reading("", None if value is None else value / 1e9)]
    if of == "gauge":
        return [Reading("", _of_gauge(threshold, measured.gauges, threshold.figure.subject))]
    if of == "monitor":
        return _of_monitor(threshold, measured.gauges)
    if of in SLOTS:
        return _of_schedules(threshold, measured)
    rows = [row for row in measured.figures.rows() if threshold.wants(*row)]
    if threshold.together:
        calls = [row for row in rows if counts_in_totals(row[0])]
        return [Reading("", _of_rows(threshold, measured, calls or rows))]
    each = [Reading(" ".join(map(str, row)), _of_rows(threshold, measured, [row])) for row in rows]
    return [reading for reading in each if reading.value is not None] or [Reading("", None)]


def _of_rows(threshold: Threshold, measured: Measured, rows: list[tuple[str, str]]) -> float | None:
    figures, of = measured.figures, threshold.figure.of
    if of == "calls":
        merged = Histogram()
        for type_, name in rows:
            merged.merge(_times(threshold, figures, type_, name))
        return _of_histogram(threshold, merged)
    if of == "counter":
        count = sum(
            value
            for (type_, name, counter), value in figures.counters.items()
            if counter == threshold.figure.subject and _counts(threshold, rows, (type_, name))
        )
        return count / max(measured.seconds, 1e-9) if threshold.kind == RATE else count
    if not rows:
        return None
    count = _number(figures, rows, _CALLS if of == "all" else (of,))
    if threshold.kind == RATE:
        return count / max(measured.seconds, 1e-9)
    if threshold.kind == SHARE:
        whole = _number(figures, rows, {SUCCESS, FAILURE, of})
        return count / whole if whole else None
    return count


def _counts(threshold: Threshold, rows: list[tuple[str, str]], row: tuple[str, str]) -> bool:
    """A counter without rows is everybody's; a row may have counters and never a call."""
    return row in rows or (threshold.together and threshold.wants(*row))


def _number(figures: Figures, rows: list[tuple[str, str]], outcomes: Iterable[str]) -> int:
    return sum(figures.outcome(*row, outcome) for row in rows for outcome in outcomes)


def _times(threshold: Threshold, figures: Figures, type_: str, name: str) -> Histogram:
    for series in (threshold.series,) if threshold.series else (RESPONSE, SERVICE):
        found = figures.timed.get((type_, name, series, SUCCESS))
        if found is not None and found.count:
            return found
    return Histogram()


def _of_histogram(threshold: Threshold, histogram: Histogram | None) -> float | None:
    if histogram is None or not histogram.count:
        return None
    measure = threshold.figure.measure
    if isinstance(measure, float):
        return histogram.percentile(measure)
    return {"min": histogram.minimum, "mean": histogram.mean, "max": histogram.maximum}[measure]


def _of_monitor(threshold: Threshold, gauges: dict[str, list[float]]) -> list[Reading]:
    """The series of that name; or all that it means, each of which counts for itself."""
    subject = threshold.figure.subject
    if subject in gauges:
        return [Reading("", _of_gauge(threshold, gauges, subject))]
    found = [
        name
        for name in sorted(gauges)
        if not name.startswith(_NO_SERVER)
        and (fnmatchcase(name, subject) or fnmatchcase(_LABELS.sub(r"\1", name), subject))
    ]
    each = [Reading(name, _of_gauge(threshold, gauges, name)) for name in found]
    return each or [Reading("", None)]


def _of_gauge(threshold: Threshold, gauges: dict[str, list[float]], subject: str) -> float | None:
    values = sorted(gauges.get(subject, []))
    if not values:
        return None
    measure = threshold.figure.measure
    if isinstance(measure, float):
        return values[min(len(values) - 1, int(len(values) * measure))]
    return {"min": values[0], "mean": sum(values) / len(values), "max": values[-1]}[measure]


def _of_schedules(threshold: Threshold, measured: Measured) -> list[Reading]:
    """Slots of the user classes that are named; each counts for itself, unless nothing is named."""
    rows = [row for row in schedules(measured.figures) if threshold.wants(SCHEDULE, row["class"])]
    if not rows:
        return [Reading("", None)]
    if threshold.together:
        return [Reading("", _of_slots(threshold, measured.seconds, rows))]
    return [Reading(row["class"], _of_slots(threshold, measured.seconds, [row])) for row in rows]


def _of_slots(threshold: Threshold, seconds: float, rows: list[dict[str, Any]]) -> float:
    of = threshold.figure.of
    count = sum(int(row[of]) for row in rows)
    if threshold.kind == SHARE:
        return count / max(sum(int(row[SLOTS[of]]) for row in rows), 1)
    return count / max(seconds, 1e-9) if threshold.kind == RATE else count
