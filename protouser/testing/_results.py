"""What a small load measured, as a test asks for it: by (type, name)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from protouser._figures import (
    CANCELLED,
    FAILURE,
    ONE_WAY,
    SERVICE,
    SKIPPED,
    SUCCESS,
    Figures,
)
from protouser._schedule import schedule_lines
from protouser._summary import summary

__all__ = ["Report", "Results", "Row"]


@dataclass(frozen=True, slots=True)
class Report:
    """One request event, as a Locust listener gets it; ``response_time`` is in milliseconds."""

    request_type: str
    name: str
    response_time: float | None
    response_length: int
    response: object
    context: dict[str, object]
    exception: BaseException | None


class Row:
    """One row of results: counts by outcome, and percentiles of its successes in seconds."""

    def __init__(self, figures: Figures, type_: str, name: str) -> None:
        self._figures = figures
        self._key = (type_, name)

    def _count(self, outcome: str) -> int:
        return self._figures.outcome(*self._key, outcome)

    @property
    def successes(self) -> int:
        """Calls that succeeded."""
        return self._count(SUCCESS)

    @property
    def failures(self) -> int:
        """Calls that failed."""
        return self._count(FAILURE)

    @property
    def cancelled(self) -> int:
        """Calls that the end of the test cut short."""
        return self._count(CANCELLED)

    @property
    def one_way(self) -> int:
        """Messages that have no answer."""
        return self._count(ONE_WAY)

    @property
    def skipped(self) -> int:
        """Calls that a hook vetoed."""
        return self._count(SKIPPED)

    def series(self) -> dict[str, int]:
        """Counts of successes by series: "service" and the phases."""
        timed = self._figures.timed.items()
        return {key[2]: h.count for key, h in timed if key[:2] == self._key and key[3] == SUCCESS}

    def percentile(self, share: float, series: str = SERVICE, outcome: str = SUCCESS) -> float:
        """A percentile in seconds; NaN, which fails every comparison, where nothing was timed."""
        histogram = self._figures.timed.get((*self._key, series, outcome))
        return histogram.percentile(share) / 1e9 if histogram else math.nan

    def counter(self, name: str) -> int:
        """A counter of this row, such as "items" or "left"."""
        return self._figures.counters.get((*self._key, name), 0)

    def __repr__(self) -> str:
        counts = {
            outcome: self._count(outcome) for outcome in (SUCCESS, FAILURE, CANCELLED, ONE_WAY)
        }
        return f"<Row {self._key}: {counts}>"


class Results(Mapping[tuple[str, str], Row]):
    """Rows by (type, name); a row that was never called is empty, not an error.

    Attributes:
        figures: everything measured, as plain data.
        seconds: how long the load ran.
        reports: the request events, in order.
        errors: what tasks and spawned greenlets raised and no call had reported.
        verdict: whether this process was the bottleneck, as in the JSON file (docs/verdict.md).
    """

    def __init__(
        self,
        figures: Figures,
        seconds: float,
        reports: list[Report],
        errors: list[BaseException],
        verdict: dict[str, Any] | None = None,
    ) -> None:
        self.figures = figures
        self.seconds = seconds
        self.reports = reports
        self.errors = errors
        self.verdict = verdict or {}

    def __getitem__(self, key: tuple[str, str]) -> Row:
        return Row(self.figures, *key)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.figures.rows())

    def __len__(self) -> int:
        return len(self.figures.rows())

    def counter(self, name: str) -> int:
        """A tester's own counter."""
        return self.figures.counters.get(("", "", name), 0)

    def __str__(self) -> str:
        lines = [summary(self.figures, self.seconds), *schedule_lines(self.figures)]
        return "\n".join(lines)
