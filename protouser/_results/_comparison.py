"""Two runs side by side: what differs, and whether it is more than noise.

The figures are those of the whole runs; how far they vary by chance is told by the time lines. The
intervals hold all together with 95 %: each is so wide that two runs alike show any difference in
one of twenty comparisons, however many rows there are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from protouser._columns import columns
from protouser._duration import duration
from protouser._errors import ConfigurationError
from protouser._figures import FAILURE, RESPONSE, SERVICE, SUCCESS
from protouser._results._document import SCHEMA
from protouser._results._interval import (
    FEWEST_PARTS,
    Estimate,
    cut,
    half_width,
    mean_of,
    share_of,
)

__all__ = ["FAILED", "Difference", "compare", "comparison_table", "load_results", "only_in_one"]

FIGURES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
#: The share of calls that failed.
FAILED: Final = "failed"
#: A percentile says little of a run that has fewer calls beyond it.
_ENOUGH_BEYOND: Final = 10
_WRONG: Final = 0.05
_TOO_SHORT: Final = "too short"
_TOO_FEW: Final = "too few calls"
_Row = tuple[str, ...]
_Rows = dict[_Row, dict[str, Any]]


class Difference(NamedTuple):
    """One figure of one row in both runs: a percentile in nanoseconds, or a share of 1.

    ``low`` and ``high`` hold the change; None where a run is too short or has too few calls to say,
    and ``unsure`` tells which.
    """

    type: str
    name: str
    series: str
    figure: str
    before: float
    after: float
    low: float | None
    high: float | None
    unsure: str = ""

    @property
    def change(self) -> float:
        """The relative change of a time, where 0.1 is 10 % slower; the difference of two shares."""
        if self.figure == FAILED:
            return self.after - self.before
        return self.after / max(self.before, 1) - 1

    @property
    def found(self) -> tuple[str, str, str]:
        """Before, after and the change, for people."""
        if self.figure == FAILED:
            values, unit = (f"{self.before:.3%}", f"{self.after:.3%}"), " pp"
        else:
            values, unit = (duration(self.before), duration(self.after)), "%"
        return *values, f"{self.change * 100:+.1f}{unit}"

    @property
    def verdict(self) -> str:
        """What it comes to, such as slower, fewer failures, or noise."""
        worse, better = "slower", "faster"
        if self.figure == FAILED:
            worse, better = "more failures", "fewer failures"
        if self.low is None or self.high is None:
            return self.unsure
        if self.low > 0:
            return worse
        return better if self.high < 0 else "noise"


class _Compared(NamedTuple):
    """A figure, and how sure it is in both runs; None where that cannot be told."""

    key: _Row
    figure: str
    values: tuple[float, float]
    sure: tuple[Estimate, Estimate] | None
    unsure: str


def load_results(file: str) -> dict[str, Any]:
    """The document that ``--protouser-json`` wrote.

    Raises:
        ConfigurationError: it cannot be read, is another document, not whole, or of another
            version.
    """
    try:
        results = json.loads(Path(file).read_text(encoding="utf-8"))
        schema = results["schema"]
        if schema == SCHEMA:
            _check(results)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        text = f"{file} was not written by --protouser-json, or not to its end"
        raise ConfigurationError(text) from None
    if schema != SCHEMA:
        raise ConfigurationError(
            f"{file} has results of version {schema}; this protouser reads {SCHEMA}."
            " Run the test again to have a file to compare with"
        )
    return dict(results)


def _check(results: dict[str, Any]) -> None:
    """Touch all that is compared; what is missing or of another kind raises."""
    for calls in (results["calls"], *(part["calls"] for part in results["timeline"])):
        for row in calls:
            _key(row), row["outcome"], row["count"] + 0
            if "p50_ns" in row:
                [row[f"{figure}_ns"] + 0 for figure in FIGURES]


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Every percentile, and the share of failures, of every row that both runs have."""
    compared = [*_times(before, after), *_failures(before, after)]
    compared.sort(key=lambda each: each.key[:3])
    sure = sum(each.sure is not None for each in compared)
    certainty = 1 - _WRONG / max(sure, 1)
    return [_difference(each, certainty) for each in compared]


def _difference(each: _Compared, certainty: float) -> Difference:
    type_, name, series = each.key
    found = Difference(type_, name, series, each.figure, *each.values, None, None, each.unsure)
    if each.sure is None:
        return found
    off = half_width(*each.sure, certainty)
    if each.figure == FAILED:
        return found._replace(low=found.change - off, high=found.change + off)
    times = 1 + found.change
    return found._replace(low=times * math.exp(-off) - 1, high=times * math.exp(off) - 1)


def only_in_one(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A sentence for each row that one of the runs does not have."""
    one, other = _called(before["calls"]), _called(after["calls"])
    gone = [f"{' '.join(row)} is in the earlier run only" for row in sorted(one - other)]
    return gone + [f"{' '.join(row)} is in the later run only" for row in sorted(other - one)]


def comparison_table(differences: Sequence[Difference]) -> list[str]:
    """The differences as lines for people."""
    head = ("Type", "Name", "", "before", "after", "change", "95 % between", "")
    rows = [head, *(_cells(each) for each in differences)]
    return columns(rows, left=(0, 1, 2, len(head) - 1))


def _cells(each: Difference) -> tuple[str, ...]:
    figure = each.figure if each.series == SERVICE else f"{each.series} {each.figure}"
    between, unit = "", " pp" if each.figure == FAILED else "%"
    if each.low is not None and each.high is not None:
        between = f"{each.low * 100:+.1f}{unit} {each.high * 100:+.1f}{unit}"
    return (each.type, each.name, figure, *each.found, between, each.verdict)


def _key(row: dict[str, Any]) -> _Row:
    return row["type"], row["name"], row["series"]


def _rows(calls: list[dict[str, Any]], outcome: str) -> _Rows:
    """Calls by their two times; the time line has no other series, and so no noise of theirs."""
    return {
        _key(row): row
        for row in calls
        if row["outcome"] == outcome and row["series"] in (SERVICE, RESPONSE) and "p50_ns" in row
    }


def _called(calls: list[dict[str, Any]]) -> set[_Row]:
    return {_key(row)[:2] for row in calls if row["series"] == SERVICE}


def _times(before: dict[str, Any], after: dict[str, Any]) -> Iterator[_Compared]:
    runs = [_rows(run["calls"], SUCCESS) for run in (before, after)]
    slices = [
        [_rows(part["calls"], SUCCESS) for part in run["timeline"]] for run in (before, after)
    ]
    for key in sorted(runs[0].keys() & runs[1].keys()):
        fewest = min(run[key]["count"] for run in runs)
        for figure, share in FIGURES.items():
            one, other = (run[key][f"{figure}_ns"] for run in runs)
            parts = [_logs(run, key, f"{figure}_ns") for run in slices]
            if min(map(len, parts)) < FEWEST_PARTS:
                yield _Compared(key, figure, (one, other), None, _TOO_SHORT)
            elif fewest * (1 - share) < _ENOUGH_BEYOND:
                yield _Compared(key, figure, (one, other), None, _TOO_FEW)
            else:
                sure = (mean_of(parts[0]), mean_of(parts[1]))
                yield _Compared(key, figure, (one, other), sure, "")


def _logs(slices: list[_Rows], key: _Row, figure: str) -> list[float]:
    """The logarithm of a time in each part of a run."""
    there = [slice_[key] for slice_ in slices if key in slice_]
    logs = []
    for begin, end in cut(len(there)):
        rows = there[begin:end]
        calls = sum(row["count"] for row in rows)
        logs.append(math.log(max(sum(row[figure] * row["count"] for row in rows) / calls, 1.0)))
    return logs


def _failures(before: dict[str, Any], after: dict[str, Any]) -> Iterator[_Compared]:
    """Rows that both runs have; not those in which nothing failed."""
    both = _called(before["calls"]) & _called(after["calls"])
    for row in sorted(both):
        key = (*row, SERVICE)
        wholes = [_counted([run], key) for run in (before, after)]
        if not all(of for _, (of,) in wholes) or not any(failed for (failed,), _ in wholes):
            continue
        one, other = (failed / of for (failed,), (of,) in wholes)
        parts = [_counted(run["timeline"], key) for run in (before, after)]
        if min(len(of) for _, of in parts) < FEWEST_PARTS:
            yield _Compared(key, FAILED, (one, other), None, _TOO_SHORT)
        else:
            sure = (share_of(*parts[0]), share_of(*parts[1]))
            yield _Compared(key, FAILED, (one, other), sure, "")


def _counted(slices: list[dict[str, Any]], key: _Row) -> tuple[list[int], list[int]]:
    """Failures, and successes and failures, in each part of slices; of one slice as it is."""
    failed, called = [], []
    for slice_ in slices:
        rows = [row for row in slice_["calls"] if _key(row) == key]
        count = {row["outcome"]: row["count"] for row in rows}
        of = count.get(SUCCESS, 0) + count.get(FAILURE, 0)
        if of or len(slices) == 1:
            failed.append(count.get(FAILURE, 0))
            called.append(of)
    cuts = cut(len(called))
    return [sum(failed[b:e]) for b, e in cuts], [sum(called[b:e]) for b, e in cuts]
