"""The table at the end of a run: every outcome counted, times in units that fit them."""

from __future__ import annotations

from locust.stats import console_logger

import shutil
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from protouser._columns import columns
from protouser._duration import duration
from protouser._figures import FAILURE, RESPONSE, SERVICE, SUCCESS, Figures
from protouser._headings import MAXIMUM, OUTCOMES, PERCENTILES, is_shown
from protouser._histogram import Histogram
from protouser._schedule import SCHEDULE
from protouser._session import Session
from protouser._transaction import counts_in_totals

__all__ = ["log_summary", "page_width", "summary"]

_K = TypeVar("_K")
_V = TypeVar("_V")

_ALWAYS = (SUCCESS, FAILURE)
_TIMES = {**PERCENTILES, MAXIMUM: 1.0}
#: What a narrow table goes without, first to last.
_SPARE = ("p90", "p99.99", "p99.9", "p95")
_WIDTH = 119
_NARROWEST = 79
_NAME_WIDTHS = (16, 48)
_TYPE_WIDTH = 24


def log_summary(session: Session) -> None:
    """Write the summary where Locust writes its own tables, if anything was measured."""
    figures = session.results()
    lines: list[str] = []
    if figures.rows() or figures.counters or figures.trends:
        text = summary(figures, session.seconds, session.missing, page_width())
        lines = [*text.splitlines(), ""]
    if lines or any(session.sections.rows(key) for key in ("feeders", "exceptions")):
        for line in [*lines, *session.sections.lines()]:
            console_logger.info(line)


def page_width() -> int:
    """How wide a table may be: as the terminal, or what fits a page where there is none."""
    columns = shutil.get_terminal_size((0, 0)).columns
    return max(columns - 1, _NARROWEST) if columns else _WIDTH


def summary(
    figures: Figures, seconds: float, missing: Sequence[str] = (), width: int = _WIDTH
) -> str:
    """The figures as a table; times are of successful calls.

    A percentile that no row has enough calls for is left out, and so are some where the table
    would be wider than ``width``.
    """
    outcomes = [key for key in OUTCOMES if key in _ALWAYS or figures.total(key)]
    times = _with_enough_calls(figures)
    table = _head_and_rows(figures, outcomes, times, seconds)
    for spare in _SPARE:
        if _narrowest(table) > width and spare in times:
            times.remove(spare)
            table = _head_and_rows(figures, outcomes, times, seconds)
    single = figures.only(lambda type_, _: counts_in_totals(type_))
    calls = sum(single.total(outcome) for outcome in OUTCOMES)
    lines = [f"protouser: {calls:,} calls in {seconds:.1f} s", "", *_table(table, width)]
    lines += [f"  {text}" for text in (*_counters(figures), *_waits(figures))]
    lines += [f"  INCOMPLETE: no final figures from {worker}" for worker in missing]
    return "\n".join([*lines, ""])


def _with_enough_calls(figures: Figures) -> list[str]:
    counts = [histogram.count for key, histogram in figures.timed.items() if key[3] == SUCCESS]
    return [time for time in _TIMES if is_shown(time, max(counts, default=0))]


def _head_and_rows(
    figures: Figures, outcomes: Sequence[str], times: Sequence[str], seconds: float
) -> list[list[str]]:
    head = ["Type", "Name", *(OUTCOMES[key] for key in outcomes), *times, "calls/s"]
    rows = [
        row for name in figures.rows() for row in _rows(figures, name, outcomes, times, seconds)
    ]
    return [head, *rows]


def _rows(
    figures: Figures,
    row: tuple[str, str],
    shown: Iterable[str],
    percentiles: Sequence[str],
    seconds: float,
) -> list[list[str]]:
    type_, name = row
    counts = [figures.outcome(type_, name, outcome) for outcome in shown]
    rate = sum(figures.outcome(type_, name, outcome) for outcome in OUTCOMES) / max(seconds, 1e-9)
    cells = [f"{count:,}" for count in counts]
    times = _times(figures.timed.get((type_, name, SERVICE, SUCCESS)), percentiles)
    lines = [[_cut(_text(type_), _TYPE_WIDTH), _text(name), *cells, *times, f"{rate:,.1f}"]]
    blank = [""] * (len(cells) - 1)
    for phase, series in _phases(figures, row):
        lines.append(
            ["", f"  {phase}", f"{series.count:,}", *blank, *_times(series, percentiles), ""]
        )
    return lines


def _phases(figures: Figures, row: tuple[str, str]) -> list[tuple[str, Histogram]]:
    found = [
        ("response time" if key[2] == RESPONSE else _text(key[2]), series)
        for key, series in figures.timed.items()
        if key[:2] == row and key[2] != SERVICE and key[3] == SUCCESS and series.count
    ]
    return sorted(found, key=lambda phase: phase[0])


def _times(histogram: Histogram | None, percentiles: Sequence[str]) -> list[str]:
    if histogram is None or not histogram.count:
        return ["-"] * len(percentiles)
    return [duration(histogram.percentile(_TIMES[name])) for name in percentiles]


def _table(table: list[list[str]], width: int) -> list[str]:
    lines = columns(_with_short_names(table, width), left=(0, 1))
    return [lines[0], "-" * max(len(line) for line in lines), *lines[1:]]


def _narrowest(table: list[list[str]]) -> int:
    least, _ = _NAME_WIDTHS
    widths = _widths([[type_, name[:least], *cells] for type_, name, *cells in table])
    return sum(widths) + 2 * (len(widths) - 1)


def _widths(table: list[list[str]]) -> list[int]:
    return [max(len(row[i]) for row in table) for i in range(len(table[0]))]


def _with_short_names(table: list[list[str]], width: int) -> list[list[str]]:
    least, most = _NAME_WIDTHS
    widths = _widths([[type_, "", *cells] for type_, _, *cells in table])
    room = width - sum(widths) - 2 * (len(widths) - 1)
    length = max(least, min(most, room))
    return [[type_, _cut(name, length), *cells] for type_, name, *cells in table]


def _cut(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    tail = (length - 3) // 2
    return f"{text[: length - 3 - tail]}...{text[-tail:]}"


def _text(name: object) -> str:
    """A name on one line, whatever a tester took for it."""
    return " ".join(str(name).split())


def _counters(figures: Figures) -> list[str]:
    texts = []
    for (type_, name, counter), value in _by_text(figures.counters):
        if type_ == SCHEDULE:  # schedules have a table of their own
            continue
        of = f" of {_text(type_)} {_text(name)}" if name != "" else ""
        texts.append(f"{_text(counter)}{of}: {value:,}")
    for name, trend in _by_text(figures.trends):
        p50, p95 = (trend.percentile(share) / 1e9 for share in (0.5, 0.95))
        texts.append(f"{_text(name)}: {trend.count:,} values, p50 {p50:.4g}, p95 {p95:.4g}")
    return texts


def _waits(figures: Figures) -> list[str]:
    """What was timed and is no part of any call, such as waiting for data."""
    rows, texts = set(figures.rows()), []
    for (type_, name, series, outcome), times in _by_text(figures.timed):
        if (type_, name) not in rows and type_ != SCHEDULE and outcome == SUCCESS and times.count:
            p50, p99 = (duration(times.percentile(share)) for share in (0.5, 0.99))
            what = f"{_text(series)} of {_text(type_)} {_text(name)}"
            often = f"{times.count:,} time" + "s" * (times.count != 1)
            texts.append(f"{what}: {often}, p50 {p50}, p99 {p99}")
    return texts


def _by_text(named: dict[_K, _V]) -> list[tuple[_K, _V]]:
    def words(item: tuple[Any, Any]) -> list[str]:
        key = item[0]
        return [str(part) for part in (key if isinstance(key, tuple) else (key,))]

    return sorted(named.items(), key=words)
