"""Figures of a distributed run, complete at its end.

Workers send what is new every three seconds, inside Locust's own report. At the end Locust's
master waits half a second and then listens no more, which loses whatever was measured while the
workers' users were still ending. So, once its users have ended, a worker sends a last report: what
is new for Locust, and everything for us, cumulative, so that it replaces what came before and no
lost report matters. The master asks its workers for it and waits for them, up to the stop timeout
and five seconds more; it names those who did not answer.

When a worker reports unasked (the test was stopped from the web UI, or the worker itself got a
signal), the same message goes out of ``test_stop``, before Locust's own farewell.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import (
    STATE_CLEANUP,
    STATE_INIT,
    STATE_MISSING,
    STATE_STOPPED,
    MasterRunner,
    WorkerRunner,
)

import logging
from typing import Any

import gevent
from gevent.event import Event

from protouser._figures import Figures
from protouser._report import Clocks, Report
from protouser._session import Session

__all__ = ["FinalFigures"]

logger = logging.getLogger(__name__)

_FINISH = "protouser-finish"
_HURRY = "protouser-hurry"
_FINAL = "protouser-final"
_RESET = "protouser-reset"
_FIELD = "protouser"
_LONGER_THAN_STOPPING = 5.0
_MOMENT = 3.0


class FinalFigures:
    """Collects the figures of all workers on the master, and sends those of a worker."""

    def __init__(self, session: Session, environment: Environment) -> None:
        self.session = session
        self.environment = environment
        self._awaited: set[str] = set()
        self._all_in = Event()
        self._finished: set[str] = set()
        self._seen: set[str] = set()
        self._clocks = Clocks()
        self._registered = False

    def listen(self) -> None:
        """Listen to the events that carry reports and mark the end."""
        events = self.environment.events
        events.report_to_master.add_listener(self._add_new_figures)
        events.worker_report.add_listener(self._take_new_figures)
        events.worker_connect.add_listener(lambda client_id, **_: self._seen.add(client_id))
        events.test_stop.add_listener(self._at_the_end)
        self.register()

    def register(self) -> None:
        """Take part in the messages between master and workers; and forget the last test's."""
        self._finished.clear()
        self._clocks = Clocks()
        runner = self.environment.runner
        self.session.reports = isinstance(runner, WorkerRunner)
        if isinstance(runner, MasterRunner):
            self.session.known_until = self._clocks.complete_until
        self._seen = _present(runner) if isinstance(runner, MasterRunner) else set()
        if self._registered or runner is None:
            return
        self._registered = True
        if isinstance(runner, WorkerRunner):
            runner.register_message(_FINISH, self._finish, concurrent=True)
            runner.register_message(
                _HURRY, lambda environment, msg, **_: self.hurry(), concurrent=True
            )
            runner.register_message(_RESET, lambda environment, msg, **_: self.session.reset())
        elif isinstance(runner, MasterRunner):
            runner.register_message(_FINAL, self._take_final_figures)

    def reset(self) -> None:
        """Forget what was measured so far, here and on the workers, as Locust's button asks."""
        self.session.reset()
        if isinstance(self.environment.runner, MasterRunner):
            self.environment.runner.send_message(_RESET)

    def hurry(self) -> None:
        """Nobody is waited for any longer: users end now, and workers have a moment to say so."""
        runner = self.environment.runner
        if isinstance(runner, MasterRunner):
            runner.send_message(_HURRY)
            gevent.spawn_later(_MOMENT, self._all_in.set)
        elif runner is not None:
            # a group does not kill twice, and who was killed may be in on_stop
            gevent.killall(list(runner.user_greenlets), block=False)

    def _add_new_figures(self, client_id: str, data: dict[str, Any], **_event: Any) -> None:
        data[_FIELD] = self.session.take_new().to_wire()

    def _take_new_figures(self, client_id: str, data: dict[str, Any], **_event: Any) -> None:
        self._seen.add(client_id)
        if client_id in self._finished or _FIELD not in data:
            return
        session, report = self.session, Report.from_wire(data[_FIELD])
        figures = session.by_worker.setdefault(client_id, Figures(session.names))
        for _, slice_ in report.slices:
            figures.merge(slice_)
            gevent.sleep(0)  # a worker with many names takes the master a while
        self._clocks.place(client_id, report, session.began, session.timeline)

    def _at_the_end(self, environment: Environment, **_event: Any) -> None:
        gevent.sleep(0)  # calls that ended in native threads report in greenlets of their own
        self.session.cancel_unfinished()
        self.session.cut()
        runner = environment.runner
        if isinstance(runner, WorkerRunner):
            self._send(runner)
        elif isinstance(runner, MasterRunner):
            self._wait(runner)

    def _finish(self, environment: Environment, msg: Any, **_event: Any) -> None:
        """The master asks for the end: users stop now, and everything is sent."""
        runner = environment.runner
        assert isinstance(runner, WorkerRunner)
        if runner.state in (STATE_INIT, STATE_STOPPED):
            self._send(runner)
        else:
            _stop_users(runner)

    def _send(self, runner: WorkerRunner) -> None:
        # Locust's own figures first, as it would send them: messages arrive in order, so the
        # master has both when the final one is in.
        report: dict[str, Any] = {}
        self.environment.events.report_to_master.fire(client_id=runner.client_id, data=report)
        runner.send_message("stats", report)
        runner.send_message(_FINAL, self.session.own_figures().to_wire())

    def _take_final_figures(self, environment: Environment, msg: Any, **_event: Any) -> None:
        figures = Figures(self.session.names)
        figures.merge(Figures.from_wire(msg.data))
        self.session.by_worker[msg.node_id] = figures
        self._clocks.forget(msg.node_id)
        self._finished.add(msg.node_id)
        self._awaited.discard(msg.node_id)
        if not self._awaited:
            self._all_in.set()

    def _wait(self, runner: MasterRunner) -> None:
        present = _present(runner)
        self._awaited = present - self._finished
        self._all_in.clear()
        for client_id in list(self._awaited):
            runner.send_message(_FINISH, None, client_id=client_id)
        if self._awaited:
            self._all_in.wait(self.environment.stop_timeout + _LONGER_THAN_STOPPING)
        self.session.missing = sorted((self._seen | present) - self._finished)
        if self.session.missing:
            logger.warning(
                "the figures of %s are incomplete: no final report came; what they measured since"
                " their last report is lost",
                ", ".join(self.session.missing),
            )


def _present(runner: MasterRunner) -> set[str]:
    """The workers that are there; Locust keeps those that were lost for a while."""
    return {client.id for client in runner.clients.all if client.state != STATE_MISSING}


def _stop_users(runner: WorkerRunner) -> None:
    """Stop a worker's users, if any run; ``test_stop`` then sends the final figures."""
    if runner.state not in (STATE_INIT, STATE_STOPPED, STATE_CLEANUP):
        runner.stop()
