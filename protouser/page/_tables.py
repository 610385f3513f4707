"""The tables of a page, made from the members of a document of results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any, Final

from protouser._duration import duration
from protouser._figures import SUCCESS
from protouser._headings import MAXIMUM, OUTCOMES, PERCENTILES, is_shown, member
from protouser._quantity import quantity

__all__ = ["baseline_table", "calls_table", "exceptions_table", "other_tables", "thresholds_table"]

_TIMES: Final = (*PERCENTILES, MAXIMUM)
_SHOWN_ELSEWHERE: Final = (
    "calls",
    "timeline",
    "stages",
    "annotations",
    "thresholds",
    "baseline",
    "verdict",
    "exceptions",
)
#: Columns that are there where there is something in them.
_RARE: Final = ("unstarted", "lost", "given_back", "duplicates")
_TITLES: Final = {"monitors": "Monitored", "gauges": "Gauges", "generator": "Load generator"}

_Cells = Sequence[str]


def calls_table(rows: Sequence[dict[str, Any]], seconds: float) -> str:
    """A line for each row and each of its series; times are of successful calls."""
    outcomes = [each for each in OUTCOMES if any(row["outcome"] == each for row in rows)]
    most = max((row["count"] for row in rows if row["outcome"] == SUCCESS), default=0)
    times = [heading for heading in _TIMES if is_shown(heading, most)]
    head = ["Type", "Name", *(OUTCOMES[each] for each in outcomes), *times, "calls/s"]
    body = [
        _call_cells(type_, name, found, outcomes, times, seconds)
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


def exceptions_table(rows: Iterable[dict[str, Any]]) -> str:
    """What users raised, and how often."""
    shown = ("type", "message", "class", "place")
    body = [[*(_text(row[key]) for key in shown), f"{row['count']:,}"] for row in rows]
    return _table(["Type", "Message", "Class", "Place", "Count"], body, texts=4)


def other_tables(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(heading, table) for every further member that is a list of rows."""
    for key, rows in document.items():
        if key in _SHOWN_ELSEWHERE or not isinstance(rows, list):
            continue
        if rows := [row for row in rows if row.get("type") != "schedule"]:
            head = [name for name in rows[0] if name not in _RARE or any(row[name] for row in rows)]
            body = [[_value(name, row.get(name)) for name in head] for row in rows]
            titles = [name.removesuffix("_ns").replace("_", " ") for name in head]
            texts = sum(isinstance(value, str) for value in rows[0].values())
            yield _TITLES.get(key, key.capitalize()), _table(titles, body, texts)


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
    type_: str,
    name: str,
    found: _Found,
    outcomes: Iterable[str],
    headings: Iterable[str],
    seconds: float,
) -> _Cells:
    series = next(iter(found))[0]
    counts = {outcome: row["count"] for (_, outcome), row in found.items()}
    timed = found.get((series, "success"), {})
    times = [_time(timed, heading) for heading in headings]
    if series != "service":
        shown = "response time" if series == "response" else series
        cells = [f"{counts['success']:,}" if each == "success" else "" for each in outcomes]
        return ["", f"&emsp;{_text(shown)}", *cells, *times, ""]
    cells = [f"{counts.get(each, 0):,}" for each in outcomes]
    rate = sum(counts.values()) / max(seconds, 1e-9)
    return [_text(type_), _text(name), *cells, *times, f"{rate:,.1f}"]


def _time(timed: dict[str, Any], heading: str) -> str:
    value = timed.get(member(heading))
    if value is None:
        return "&ndash;"
    return duration(value) if is_shown(heading, timed["count"]) else ""


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
