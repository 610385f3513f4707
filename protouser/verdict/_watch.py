"""Observes every process that runs users, and judges on the master, or where there is none."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

import logging
from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any, Final

from protouser._figures import RESPONSE, SERVICE, SUCCESS, Figures
from protouser._histogram import Histogram
from protouser._schedule import SCHEDULE
from protouser._sections import Section
from protouser.verdict._judge import judge
from protouser.verdict._ledger import Ledger
from protouser.verdict._observation import Observation
from protouser.verdict._observer import Observer
from protouser.verdict._verdict import BLOCKED, Verdict

if TYPE_CHECKING:
    from protouser._session import Session

__all__ = ["GeneratorWatch"]

logger = logging.getLogger(__name__)

_FIELD: Final = "protouser-load"
#: Workers whose gauges are kept apart on the time line; the rows have all of them.
_WITH_GAUGES: Final = 20
#: Unsent observations that a worker keeps, should its master be silent.
_MOST_UNSENT: Final = 600


class GeneratorWatch:
    """What the generator of one environment was like, from the start of each test to its end."""

    def __init__(self, session: Session, environment: Environment) -> None:
        self._session = session
        self._environment = environment
        self._observer = Observer(session)
        self._ledgers: dict[str, Ledger] = {}
        self._unsent: list[Observation] = []
        self._warned: set[str] = set()

    def listen(self) -> None:
        """Listen for tests and for reports; before what stops the watchdog at the end of one."""
        events = self._environment.events
        events.test_start.add_listener(self._start)
        events.test_stopping.add_listener(lambda **_: self._look())
        events.reset_stats.add_listener(self._start)
        if self._environment.reset_stats:
            events.spawning_complete.add_listener(self._start)
        events.report_to_master.add_listener(self._send)
        events.worker_report.add_listener(self._receive)
        self._session.each_second.append(self._look)
        if not isinstance(self._environment.runner, WorkerRunner):
            sections = self._session.sections
            sections.add(Section("generator", "Generator", self.rows))
            sections.add(Section("verdict", "", list, member=self._as_json))
            sections.add_lines(self._lines)  # behind those of all sections

    def verdict(self) -> Verdict:
        """What is to be said so far."""
        return judge(self._ledgers, _p99(self._session.results()))

    def rows(self) -> list[dict[str, Any]]:
        """A row for every process that ran users: means and maxima of its seconds."""
        return [
            {
                "worker": worker,
                "seconds": round(ledger.seconds, 3),
                "users": ledger.most_users,
                **_load(ledger),
                "late": int(ledger.unserved.amount) - ledger.dropped,
                "dropped": ledger.dropped,
            }
            for worker, ledger in sorted(self._ledgers.items())
        ]

    def _as_json(self) -> dict[str, Any]:
        return self.verdict().as_json()

    def _lines(self) -> Iterator[str]:
        yield self.verdict().line()

    def _start(self, **_event: Any) -> None:
        self._ledgers, self._unsent, self._warned = {}, [], set()
        self._observer.begin()

    def _look(self) -> None:
        """A second has passed, or the last part of one."""
        runner = self._environment.runner
        if runner is None or isinstance(runner, MasterRunner):
            return
        self._session.cut()  # so that what was counted up to now is looked at too
        seen = self._observer.observe(runner.user_count)
        if seen is None:
            return
        self._note_gauges(seen, runner)
        if isinstance(runner, WorkerRunner):
            self._unsent = [*self._unsent[-_MOST_UNSENT:], seen]
        else:
            self._add("", seen)

    def _note_gauges(self, seen: Observation, runner: Any) -> None:
        suffix = ""
        if isinstance(runner, WorkerRunner):
            suffix = f".{runner.worker_index}"
            if runner.worker_index >= _WITH_GAUGES:
                return
        for name, value in (
            ("cpu", seen.cpu),
            ("lag", seen.lag_p99),
            ("late", seen.late),
            ("dropped", seen.dropped),
        ):
            self._session.figures.gauge(f"generator.{name}{suffix}", value)

    def _send(self, client_id: str, data: dict[str, Any], **_event: Any) -> None:
        runner, unsent = self._environment.runner, self._unsent
        if not unsent or not isinstance(runner, WorkerRunner):
            return
        self._unsent = []
        host = client_id.rpartition("_")[0]
        data[_FIELD] = {
            "worker": f"worker {runner.worker_index} on {host}",
            "now": self._session.seconds,
            "seconds": [each.to_wire() for each in unsent],
        }

    def _receive(self, client_id: str, data: dict[str, Any], **_event: Any) -> None:
        report = data.get(_FIELD)
        if report is None:
            return
        ahead = self._session.seconds - report["now"]
        for flat in report["seconds"]:
            at, *others = flat
            self._add(report["worker"], Observation.from_wire([max(at + ahead, 0.0), *others]))

    def _add(self, worker: str, seen: Observation) -> None:
        self._ledgers.setdefault(worker, Ledger()).add(seen)
        # What depends on how long calls take is for the end, when that is known.
        for cause in judge({worker: self._ledgers[worker]}, inf).causes:
            if cause.cause not in self._warned and self._session.running:
                self._warned.add(cause.cause)
                if cause.cause != BLOCKED or worker:  # the watchdog has said so in this process
                    logger.warning("the load is limited by its generator: %s", cause.sentence())


def _load(ledger: Ledger) -> dict[str, float]:
    return {
        f"{name}_{part}": round(value, 4)
        for name, account in ledger.load.items()
        for part, value in (("mean", account.share), ("max", account.worst))
    }


def _p99(figures: Figures) -> float:
    """Of all successful calls, in seconds; by the response time of a row that has it."""
    together = Histogram()
    responses = {key[:2] for key in figures.timed if key[2] == RESPONSE}
    for key, histogram in figures.timed.items():
        wanted = RESPONSE if key[:2] in responses else SERVICE
        if key[2] == wanted and key[3] == SUCCESS and key[0] != SCHEDULE:
            together.merge(histogram)
    return together.percentile(0.99) / 1e9 if together.count else 0.0
