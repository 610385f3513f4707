"""The demonstration's Locust test, from its first user to its HTML report."""

from __future__ import annotations

from locust import User
from locust.env import Environment
from locust.html import get_html_report
from locust.stats import update_stats_history

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gevent.event import Event

from protouser._attach import attach
from protouser._call import now
from protouser._figures import CANCELLED, FAILURE, ONE_WAY, SUCCESS
from protouser._summary import page_width, summary
from protouser.demo._observed import Observed
from protouser.demo._progress import Screen

__all__ = ["Trial"]

_RAMP_UP = 2.0
_LOOK_EVERY = 0.25
_CHART_EVERY = 1.0
_STOPPING_MAY_TAKE = 2.0


class Trial:
    """A test of some user classes, watched on a screen."""

    def __init__(self, user_classes: Sequence[type[User]], planned: Mapping[str, str]) -> None:
        self._environment = Environment(
            user_classes=list(user_classes),
            stop_timeout=_STOPPING_MAY_TAKE,
            locustfile="protouser demo",
        )
        self._session = attach(self._environment)
        self._runner = self._environment.create_local_runner()
        self._observed = Observed(self._environment, planned)
        self._finished = False

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return self._session.seconds

    def run(self, users: int, seconds: float, screen: Screen, ending: Event) -> None:
        """Run so many users for so long, or until ``ending`` is set or no user is left."""
        screen.begin(seconds)
        try:
            self._runner.start(users, spawn_rate=max(1.0, users / _RAMP_UP))
            self._watch(seconds, screen, ending)
            self._runner.quit()
            elapsed = seconds if self._finished else min(self.seconds, seconds)
            screen.show(self._observed.moment(elapsed))
        finally:
            screen.end()

    def table(self) -> str:
        """The summary of all calls."""
        return summary(self._session.results(), self.seconds, width=page_width())

    def explanations(self) -> list[str]:
        """What a reader may wonder about in the table."""
        lines = list(self._observed.explanations())
        if cut := self._session.results().total(CANCELLED):
            lines.append(
                f"{cut:,} cancelled: under way when the test ended, neither success nor failure."
            )
        return [*lines, *self._session.sections.lines()]

    def complaints(self) -> list[str]:
        """A line for everything that did not go as designed."""
        return [*self._observed.complaints(), *self._barren_rows()]

    def write_report(self, path: Path) -> None:
        """Write Locust's HTML report.

        Raises:
            OSError: the file cannot be written.
        """
        path.write_text(get_html_report(self._environment), encoding="utf-8")

    def _watch(self, seconds: float, screen: Screen, ending: Event) -> None:
        began = charted = now()
        while (left := began + seconds - now()) > 0:
            screen.show(self._observed.moment(seconds - left))
            if now() - charted >= _CHART_EVERY:
                charted = now()
                update_stats_history(self._runner)
            if self._has_no_users() or ending.wait(min(_LOOK_EVERY, left)):
                return
        self._finished = True

    def _has_no_users(self) -> bool:
        spawning = self._runner.spawning_greenlet
        return spawning is not None and spawning.ready() and self._runner.user_count == 0

    def _barren_rows(self) -> Iterator[str]:
        """Rows whose calls only ever waited; a test that was ended early may have such."""
        figures = self._session.results()
        for type_, name in figures.rows() if self._finished else []:
            if not any(figures.outcome(type_, name, each) for each in (SUCCESS, ONE_WAY, FAILURE)):
                yield f"no call of {type_} {name} ever finished"
