"""Watches the thresholds of a test on the master, and decides at its end."""

from __future__ import annotations

from locust.env import Environment

import logging
from typing import Any, Final

import gevent

from protouser._sections import Section
from protouser._session import Session
from protouser.thresholds._junit import write_junit
from protouser.thresholds._reading import Measured, Reading, readings
from protouser.thresholds._sources import thresholds_of
from protouser.thresholds._table import rows_of, table
from protouser.thresholds._threshold import Threshold
from protouser.thresholds._verdict import Verdict

__all__ = ["Judge"]

logger = logging.getLogger(__name__)

_MOST_WINDOWS_AT_ONCE: Final = 10


class Judge:
    """Holds what was found about each threshold so far."""

    def __init__(self, session: Session, environment: Environment) -> None:
        self._session = session
        self._environment = environment
        self._thresholds: list[Threshold] = []
        self._worst: dict[Threshold, dict[str, Verdict]] = {}
        self._verdicts: list[Verdict] = []
        self._seen_until = 0
        self._aborted = False
        session.each_second.append(self.look)

    def start(self) -> None:
        """A test starts."""
        self._thresholds = thresholds_of(self._environment)
        self._worst, self._verdicts = {}, []
        self._seen_until, self._aborted = 0, False
        if self._thresholds:
            self._session.sections.add(
                Section(
                    *("thresholds", "Thresholds", self.rows, lambda: table(self._verdicts)),
                    hidden=frozenset({"value", "limit"}),  # "found" says it in a unit
                )
            )

    def look(self) -> None:
        """A second has passed: look at windows, and at what may end the test."""
        until = self._session.known_until()
        if until <= self._seen_until or not self._thresholds:
            return
        for threshold in self._thresholds:
            if threshold.window is not None:
                self._look_at_windows(threshold, until)
            if threshold.abort_after is not None and until >= threshold.abort_after:
                self._abort_if_crossed(threshold)
        self._seen_until = until

    def conclude(self) -> None:
        """All figures are in: decide."""
        if not self._thresholds:
            return
        for threshold in self._thresholds:
            if threshold.window is not None:
                self._look_at_windows(threshold, int(self._session.seconds))
        self._verdicts = [
            verdict for threshold in self._thresholds for verdict in self._decide(threshold)
        ]
        write_junit(self._environment, self._verdicts)

    @property
    def passed(self) -> bool | None:
        """Whether every threshold held, once that is decided; None without thresholds."""
        return all(verdict.passed for verdict in self._verdicts) if self._thresholds else None

    def rows(self) -> list[dict[str, Any]]:
        """A row for every threshold, as far as it is known now."""
        if self._session.running:
            return rows_of([verdict for each in self._thresholds for verdict in self._decide(each)])
        return rows_of(self._verdicts)

    def _decide(self, threshold: Threshold) -> list[Verdict]:
        worst = self._worst.get(threshold)
        if worst:
            return list(worst.values())
        seconds = self._session.seconds
        measured = self._measured(0, seconds + self._session.timeline.width, seconds)
        return [Verdict.of(threshold, reading, None) for reading in readings(threshold, measured)]

    def _look_at_windows(self, threshold: Threshold, until: int) -> None:
        assert threshold.window is not None
        first = max(self._seen_until, until - _MOST_WINDOWS_AT_ONCE) + 1
        for end in range(first, until + 1):
            if end >= threshold.window:
                measured = self._part(threshold, end - threshold.window, end)
                for reading in readings(threshold, measured):
                    self._keep_worst(threshold, reading, end)

    def _keep_worst(self, threshold: Threshold, reading: Reading, end: int) -> None:
        if reading.value is None:
            return
        kept = self._worst.setdefault(threshold, {})
        before = kept.get(reading.row)
        new = Verdict.of(threshold, reading, end)
        if (
            before is None
            or (before.passed and not new.passed)
            or (before.passed == new.passed and new.is_worse_than(before))
        ):
            kept[reading.row] = new

    def _abort_if_crossed(self, threshold: Threshold) -> None:
        crossed = [
            verdict
            for verdict in self._decide(threshold)
            if not verdict.passed and verdict.value is not None
        ]
        if not crossed or self._aborted:
            return
        self._aborted = True
        logger.error("the test ends early: %s", crossed[0].sentence())
        gevent.spawn(self._end_test)  # this greenlet ends with the test

    def _end_test(self) -> None:
        runner = self._environment.runner
        assert runner is not None
        if self._environment.web_ui is None:
            runner.quit()
        else:
            runner.stop()

    def _measured(self, begin: float, end: float, seconds: float) -> Measured:
        figures = self._session.results()
        return Measured(figures, seconds, self._gauges(begin, end))

    def _part(self, threshold: Threshold, begin: float, end: float) -> Measured:
        timeline = self._session.timeline
        begin = min(begin, end - timeline.width)
        figures = timeline.between(begin, end, threshold.wants)
        return Measured(figures, end - begin, self._gauges(begin, end))

    def _gauges(self, begin: float, end: float) -> dict[str, list[float]]:
        values: dict[str, list[float]] = {}
        for at, slice_ in self._session.timeline.slices():
            if begin <= at < end:
                for name, (count, total, _) in slice_.figures.gauges.items():
                    values.setdefault(name, []).append(total / count)
        return values
