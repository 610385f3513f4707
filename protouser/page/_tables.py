"""The tables of a page, made from the members of a document of results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any, Final

from protouser._duration import duration
from protouser._quantity import quantity

__all__ = ["baseline_table", "calls_table", "other_tables", "thresholds_table"]

_COUNTS: Final = {
    "success": "ok",
    "failure": "failed",
    "cancelled": "cancelled",
    "one_way": "one-way",
    "skipped": "skipped",
    "warm_up": "warm-up",
}
_TIMES: Final = {
    "p50_ns": "p50",
    "p90_ns": "p90",
    "p95_ns": "p95",
    "p99_ns": "p99",
    "p999_ns": "p99.9",
    "p9999_ns": "p99.99",
    "max_ns": "max",
}
#: How many calls a row must have for a percentile to be another value than its maximum.
_ENOUGH: Final = {"p999_ns": 1000, "p9999_ns": 10_000}
_SHOWN_ELSEWHERE: Final = (
    "calls",
    "timeline",
    "stages",
    "annotations",
    "thresholds",
    "baseline",
    "verdict",
)
_TITLES: Final = {"monitors": "Monitored", "gauges": "Gauges", "generator": "Load generator"}

_Cells = Sequence[str]


def calls_table(rows: Sequence[dict[str, Any]], seconds: float) -> str:
    """A line for each row and each of its series; times are of successful calls."""
    outcomes = [each for each in _COUNTS if any(row["outcome"] == each for row in rows)]
    head = ["Type", "Name", *(_COUNTS[each] for each in outcomes), *_TIMES.values(), "calls/s"]
    body = [
        _call_cells(type_, name, found, outcomes, seconds)
        for (type_, name), found in sorted(_grouped(rows).items())
        if any(series == "service" for series, _ in found)
        for found in _by_series(found)
    ]
    return _table(head, body, texts=2)


def thresholds_table(rows: Iterable[dict[str, Any]]) -> str:
    """What was asked, what was found, and whether it holds."""
    body = [
        [_word(row["passed"]), *map(_text, (row["threshold"], row["row"], row["found"]))]
        for row in rows
    ]
    return _table(["", "Threshold", "Row", "Found"], body, texts=3)


def baseline_table(rows: Iterable[dict[str, Any]]) -> str:
    """What became of each figure of an earlier run, and whether it got worse."""
    shown = ("type", "name", "series", "figure", "verdict", "found")
    body = [[_word(not row["worse"]), *(_text(row[key]) for key in shown)] for row in rows]
    return _table(["", "Type", "Name", "Series", "Figure", "Verdict", "Found"], body, texts=6)


def other_tables(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(heading, table) for every further member that is a list of rows."""
    for member, rows in document.items():
        if member in _SHOWN_ELSEWHERE or not isinstance(rows, list):
            continue
        if rows := [row for row in rows if row.get("type") != "schedule"]:
            head = list(rows[0])
            body = [[_value(key, row.get(key)) for key in head] for row in rows]
            titles = [key.removesuffix("_ns").replace("_", " ") for key in head]
            texts = sum(isinstance(value, str) for value in rows[0].values())
            yield _TITLES.get(member, member.capitalize()), _table(titles, body, texts)


def _word(passed: bool) -> str:
    return f'<b class="{"pass" if passed else "fail"}">{"pass" if passed else "FAIL"}</b>'


_Found = dict[tuple[str, str], dict[str, Any]]


def _grouped(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str], _Found]:
    grouped: dict[tuple[str, str], _Found] = {}
    for row in rows:
        found = grouped.setdefault((str(row["type"]), str(row["name"])), {})
        found[row["series"], row["outcome"]] = row
    return grouped


def _by_series(found: _Found) -> Iterator[_Found]:
    """The calls themselves first, and then what else was timed of those that succeeded."""
    yield {key: row for key, row in found.items() if key[0] == "service"}
    for key in sorted(found):
        if key[0] != "service" and key[1] == "success":
            yield {key: found[key]}


def _call_cells(
    type_: str, name: str, found: _Found, outcomes: Iterable[str], seconds: float
) -> _Cells:
    series = next(iter(found))[0]
    counts = {outcome: row["count"] for (_, outcome), row in found.items()}
    timed = found.get((series, "success"), {})
    times = [_time(timed, key) for key in _TIMES]
    if series != "service":
        shown = "response time" if series == "response" else series
        cells = [f"{counts['success']:,}" if each == "success" else "" for each in outcomes]
        return ["", f"&emsp;{_text(shown)}", *cells, *times, ""]
    cells = [f"{counts.get(each, 0):,}" for each in outcomes]
    rate = sum(counts.values()) / max(seconds, 1e-9)
    return [_text(type_), _text(name), *cells, *times, f"{rate:,.1f}"]


def _time(timed: dict[str, Any], key: str) -> str:
    value = timed.get(key)
    if value is None:
        return "&ndash;"
    return duration(value) if timed["count"] >= _ENOUGH.get(key, 0) else ""


def _value(key: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("_ns"):
        return duration(value)
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else quantity(value)
    return _text(value)


def _text(value: object) -> str:
    return escape(" ".join(str(value).split()))


def _table(head: Iterable[str], body: Iterable[_Cells], texts: int) -> str:
    """A table whose first columns, as many as ``texts``, hold words and the others numbers."""

    def line(tag: str, cells: Iterable[str]) -> str:
        parts = (
            f"<{tag}{'' if number < texts else ' class=n'}>{cell}</{tag}>"
            for number, cell in enumerate(cells)
        )
        return f"<tr>{''.join(parts)}</tr>\n"

    rows = "".join(line("td", cells) for cells in body)
    return f"<div><table>\n{line('th', map(_text, head))}{rows}</table></div>\n"
