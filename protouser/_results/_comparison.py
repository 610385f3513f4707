"""Two runs side by side: what differs, and whether it is more than noise.

The figures are those of the whole runs. How far they vary by chance is seen from the time lines:
each run is cut into up to twenty parts of neighbouring slices, since what is near in time is alike,
and the parts are drawn anew with replacement (B. Efron, R. Tibshirani: An Introduction to the
Bootstrap, 1993). What 95 % of the drawn pairs agree on is a difference; the rest is noise.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from protouser._columns import columns
from protouser._duration import duration
from protouser._errors import ConfigurationError
from protouser._results._document import SCHEMA

__all__ = ["Difference", "compare", "comparison_table", "load_results"]

FIGURES: Final = ("p50", "p95", "p99")
_MOST_PARTS: Final = 20
_FEWEST_PARTS: Final = 5
_DRAWS: Final = 400
Key = tuple[str, str, str]


class Difference(NamedTuple):
    """One percentile of one row in both runs, in nanoseconds.

    ``low`` and ``high`` hold the relative change with 95 %; None where a run was too short to say.
    """

    type: str
    name: str
    series: str
    figure: str
    before: int
    after: int
    low: float | None
    high: float | None

    @property
    def change(self) -> float:
        """The relative change; 0.1 is 10 % slower."""
        return self.after / max(self.before, 1) - 1

    @property
    def verdict(self) -> str:
        """One of slower, faster, noise, and "too short" to say."""
        if self.low is None or self.high is None:
            return "too short"
        if self.low > 0 and self.change > 0:
            return "slower"
        return "faster" if self.high < 0 and self.change < 0 else "noise"


def load_results(file: str) -> dict[str, Any]:
    """The document that ``--protouser-json`` wrote.

    Raises:
        ConfigurationError: it cannot be read, or is of another version.
    """
    try:
        results = json.loads(Path(file).read_text(encoding="utf-8"))
        schema = results["schema"]
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{file} was not written by --protouser-json") from None
    if schema != SCHEMA:
        raise ConfigurationError(
            f"{file} has results of version {schema}; this protouser reads {SCHEMA}."
            " Run the test again to have a file to compare with"
        )
    return dict(results)


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Every percentile of every row that both runs have."""
    old, new = _successes(before["calls"]), _successes(after["calls"])
    chance = random.Random(0)  # the same files give the same answer
    found = []
    for key in sorted(old.keys() & new.keys()):
        for figure in FIGURES:
            parts = [_parts(run["timeline"], key, f"{figure}_ns") for run in (before, after)]
            low, high = _interval(parts[0], parts[1], chance)
            values = [row[key][f"{figure}_ns"] for row in (old, new)]
            found.append(Difference(*key, figure, values[0], values[1], low, high))
    return found


def comparison_table(differences: Sequence[Difference]) -> list[str]:
    """The differences as lines for people."""
    head = ("Type", "Name", "", "before", "after", "change", "95 % between", "")
    rows = [head, *(_cells(each) for each in differences)]
    return columns(rows, left=(0, 1, 2, len(head) - 1))


def _cells(each: Difference) -> tuple[str, ...]:
    between = ""
    if each.low is not None and each.high is not None:
        between = f"{each.low:+.1%} {each.high:+.1%}"
    figure = each.figure if each.series == "service" else f"{each.series} {each.figure}"
    times = (duration(each.before), duration(each.after))
    return (each.type, each.name, figure, *times, f"{each.change:+.1%}", between, each.verdict)


def _successes(rows: list[dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    return {
        (row["type"], row["name"], row["series"]): row
        for row in rows
        if row["outcome"] == "success" and "p50_ns" in row
    }


def _parts(timeline: list[dict[str, Any]], key: Key, figure: str) -> list[tuple[float, int]]:
    """(weighted sum, weight) of up to twenty parts of neighbouring slices."""
    seen = list(_slices(timeline, key, figure))
    count = min(_MOST_PARTS, len(seen))
    cuts = [len(seen) * part // count for part in range(count + 1)] if count else []
    parts: list[tuple[float, int]] = []
    for begin, end in itertools.pairwise(cuts):
        weight = sum(calls for _, calls in seen[begin:end])
        parts.append((sum(value * calls for value, calls in seen[begin:end]), weight))
    return parts


def _slices(timeline: list[dict[str, Any]], key: Key, figure: str) -> Iterator[tuple[int, int]]:
    for slice_ in timeline:
        row = _successes(slice_["calls"]).get(key)
        if row is not None:
            yield row[figure], row["count"]


def _interval(
    before: list[tuple[float, int]], after: list[tuple[float, int]], chance: random.Random
) -> tuple[float | None, float | None]:
    if min(len(before), len(after)) < _FEWEST_PARTS:
        return None, None
    drawn = sorted(_drawn(after, chance) / max(_drawn(before, chance), 1) for _ in range(_DRAWS))
    edge = _DRAWS // 40
    return drawn[edge] - 1, drawn[-edge - 1] - 1


def _drawn(parts: list[tuple[float, int]], chance: random.Random) -> float:
    picked = chance.choices(parts, k=len(parts))
    return sum(total for total, _ in picked) / sum(weight for _, weight in picked)
