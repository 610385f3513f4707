"""Figures as rows of plain data, for files and for the web UI."""

from __future__ import annotations

from typing import Any, Final

from protouser import _headings as headings
from protouser._figures import SERVICE, Figures
from protouser._histogram import Histogram

__all__ = ["FEW", "PERCENTILES", "call_rows", "counter_rows", "gauge_rows", "trend_rows"]

#: What is said of a whole test, and what of one slice of it.
PERCENTILES: Final = {name.replace(".", ""): share for name, share in headings.PERCENTILES.items()}
FEW: Final = {name: PERCENTILES[name] for name in ("p50", "p95", "p99")}


def call_rows(figures: Figures, percentiles: dict[str, float]) -> list[dict[str, Any]]:
    """A row for every (type, name, series, outcome), sorted; times in nanoseconds."""
    rows = [
        {**_named(*key), "count": histogram.count, **_times(histogram, percentiles)}
        for key, histogram in figures.timed.items()
        if histogram.count
    ]
    rows += [
        {**_named(type_, name, SERVICE, outcome), "count": count}
        for (type_, name, outcome), count in figures.counted.items()
    ]
    return sorted(rows, key=lambda row: [row[part] for part in _KEY])


def counter_rows(figures: Figures) -> list[dict[str, Any]]:
    """A row for every counter; those of the tester have neither type nor name."""
    rows = [
        {"type": str(type_), "name": str(name), "counter": str(counter), "value": value}
        for (type_, name, counter), value in figures.counters.items()
    ]
    return sorted(rows, key=lambda row: (row["type"], row["name"], row["counter"]))


def trend_rows(figures: Figures) -> list[dict[str, Any]]:
    """A row for every trend, in the tester's own unit."""
    rows = []
    for name, trend in figures.trends.items():
        values = {"min": trend.minimum, "mean": trend.mean, "max": trend.maximum}
        values |= {key: trend.percentile(share) for key, share in PERCENTILES.items()}
        scaled = {key: value / 1e9 for key, value in values.items()}
        rows.append({"name": str(name), "count": trend.count, **scaled})
    return sorted(rows, key=lambda row: str(row["name"]))


def gauge_rows(figures: Figures) -> dict[str, dict[str, float]]:
    """Mean and maximum of every gauge."""
    return {
        str(name): {"mean": total / count, "max": maximum}
        for name, (count, total, maximum) in sorted(figures.gauges.items())
    }


_KEY: Final = ("type", "name", "series", "outcome")


def _named(*key: object) -> dict[str, Any]:
    return dict(zip(_KEY, map(str, key), strict=True))


def _times(histogram: Histogram, percentiles: dict[str, float]) -> dict[str, Any]:
    return {
        "min_ns": histogram.minimum,
        "mean_ns": round(histogram.mean),
        "max_ns": histogram.maximum,
        **{f"{key}_ns": histogram.percentile(share) for key, share in percentiles.items()},
    }
