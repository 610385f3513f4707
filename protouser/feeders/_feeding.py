"""The feeders of one environment: their desks, the end of the test, and what became of the rows."""

from __future__ import annotations

from locust import User
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner

import logging
from typing import TYPE_CHECKING, Any, Final, Self
from weakref import WeakSet

import gevent

from protouser._errors import ConfigurationError
from protouser._sections import Section
from protouser._session import Session
from protouser.feeders._borrower import Borrower
from protouser.feeders._desk import Desk
from protouser.feeders._lender import Lender
from protouser.feeders._stock import Stock
from protouser.feeders._table import table, warn_of_waiting
from protouser.feeders._tally import Tally

if TYPE_CHECKING:
    from protouser.feeders._feeder import Feeder

__all__ = ["Feeding", "declared_feeders"]

logger = logging.getLogger(__name__)

_ATTRIBUTE: Final = "_protouser_feeding"
_FIELD: Final = "protouser-feed"
_LEFT: Final = "protouser-feed-left"
_END: Final = "protouser-feed-end"
_TICK: Final = 0.5

_declared: WeakSet[Feeder] = WeakSet()
_running: WeakSet[Feeding] = WeakSet()


class Feeding:
    """Knows which desk is whose, and ends the test when feeders have stopped every user."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.session = Session.of(environment)
        self._desks: dict[Feeder, Desk] = {}
        self._tallies: dict[str, dict[str, Tally]] = {}  # by worker, by feeder
        self._told: set[str] = set()
        self._stopped_somebody = False
        self._registered = False
        self._running = False
        self._lender: Lender | None = None
        self._borrower: Borrower | None = None
        self._ticking: gevent.Greenlet[..., Any] | None = None
        self._listen()

    @classmethod
    def of(cls, environment: Environment) -> Self:
        """The one of an environment, made on first use."""
        feeding: Self | None = getattr(environment, _ATTRIBUTE, None)
        if feeding is None:
            feeding = cls(environment)
            setattr(environment, _ATTRIBUTE, feeding)
        return feeding

    @staticmethod
    def declare(feeder: Feeder) -> None:
        """Have a feeder checked before the load starts."""
        _declared.add(feeder)

    @staticmethod
    def users_run() -> bool:
        """True while a test has users in this process."""
        states = (STATE_SPAWNING, STATE_RUNNING)
        runners = (feeding.environment.runner for feeding in list(_running))
        return any(runner is not None and runner.state in states for runner in runners)

    def check(self) -> None:
        """Look at the data of every feeder that this process will read, before the load starts.

        Raises:
            ConfigurationError: data that cannot be used, or two feeders with one name.
        """
        names: set[str] = set()
        for feeder in declared_feeders():
            if feeder.share == "test" and feeder.name in names:
                _refuse_twice(feeder)
            if feeder.share == "test":
                names.add(feeder.name)
            if self._reads(feeder):
                feeder.prepare()

    def desk(self, feeder: Feeder) -> Desk:
        """Where users of this environment get rows of a feeder."""
        desk = self._desks.get(feeder)
        if desk is None:
            if feeder.share == "test" and any(
                other.name == feeder.name and other.share == "test" for other in self._desks
            ):
                _refuse_twice(feeder)
            desk = self._desks[feeder] = Desk(feeder, self)
        return desk

    def has(self, desk: Desk) -> bool:
        """False for a desk of an earlier test."""
        return self._desks.get(desk.feeder) is desk

    def stock(self, feeder: Feeder, scope: str) -> Stock:
        """Rows for one group of users."""
        if feeder.share != "test" or self._borrower is None:
            return feeder.local_stock(scope, apart=True)
        return self._borrower.stock(feeder)

    def note(self, user: User) -> None:
        """Have the desks know when this user is gone."""
        if getattr(user, _ATTRIBUTE, None) is not self:
            setattr(user, _ATTRIBUTE, self)
            if user.greenlet is not None:
                user.greenlet.link(lambda _: self._user_left(user))

    def at_end(self, feeder: Feeder, user: User) -> None:
        """A user came to the end of the data."""
        self._stopped_somebody = True
        what = "the test stops" if feeder.at_end == "stop_test" else "users who ask for one stop"
        text = f"feeder {feeder.name!r} has no more rows: {what}"
        if text not in self._told:
            self._told.add(text)
            logger.info("%s", text)
        if feeder.at_end == "stop_test":
            self._end_test(0)

    def end_for_broken(self, error: ConfigurationError) -> None:
        """Rows cannot be read any further, so the test ends with an error."""
        logger.error("%s", error)
        self._end_test(1)
        runner = self.environment.runner
        if self._borrower is not None and self._borrower.silent and runner is not None:
            # the master may know nothing of feeders, but it knows what errors and workers are
            self._borrower.tell(error)
            self.environment.process_exit_code = 1
            gevent.spawn(runner.quit)

    def _listen(self) -> None:
        self.session.sections.add(Section("feeders", "Feeders", self._rows, self._lines))
        events = self.environment.events
        events.test_start.add_listener(self._start)
        events.test_stop.add_listener(self._stop)
        events.spawning_complete.add_listener(self._look_later)
        events.report_to_master.add_listener(self._report)
        events.worker_report.add_listener(self._take_report)
        if not isinstance(self.environment.runner, WorkerRunner):
            events.quit.add_listener(lambda exit_code, **_: self._warn())
        self._register()

    def _register(self) -> None:
        runner = self.environment.runner
        if runner is None or self._registered:
            return
        self._registered = True
        if isinstance(runner, MasterRunner):
            runner.register_message(_LEFT, self._worker_has_nobody)
            runner.register_message(_END, self._worker_asks_for_the_end)
            self._lender = Lender(runner, _named, self.end_for_broken)
        elif isinstance(runner, WorkerRunner):
            self._borrower = Borrower(runner)

    def _reads(self, feeder: Feeder) -> bool:
        runner = self.environment.runner
        if isinstance(runner, MasterRunner):
            return feeder.share == "test"
        return not isinstance(runner, WorkerRunner) or feeder.share != "test"

    def _start(self, environment: Environment, **_event: Any) -> None:
        self._register()
        self._close()
        self._desks.clear()
        self._tallies.clear()
        self._told.clear()
        self._stopped_somebody = False
        if self._lender is not None:
            self._lender.start()
        self._running = True
        _running.add(self)
        if self._ticking is None and (self._lender or self._borrower):
            self._ticking = gevent.spawn(self._tick)

    def _tick(self) -> None:
        while self._running or (self._borrower is not None and self._borrower.unsettled):
            gevent.sleep(_TICK)
            if self._lender is not None:
                self._lender.tick()
            if self._borrower is not None:
                self._borrower.tick()
        self._ticking = None

    def _stop(self, environment: Environment, **_event: Any) -> None:
        self._close()
        self._running = False
        _running.discard(self)
        if self._ticking is not None and self._borrower is None:
            self._ticking.kill(block=False)
            self._ticking = None

    def _close(self) -> None:
        for desk in self._desks.values():
            desk.close()
        if self._lender is not None:
            self._lender.close()

    def _lines(self) -> list[str]:
        tallies = self.tallies()
        return table(tallies) if tallies else []

    def _warn(self) -> None:
        warn_of_waiting(self.tallies(), {feeder.name for feeder in _declared if feeder.sticky})

    def tallies(self) -> dict[str, Tally]:
        """What became of the rows of each feeder, here and on all workers."""
        whole: dict[str, Tally] = {}
        for name, tally in self._own_tallies():
            whole.setdefault(name, Tally()).add(tally)
        for tallies in self._tallies.values():
            for name, tally in tallies.items():
                whole.setdefault(name, Tally()).add(tally)
        if self._lender is not None:
            for name, tally in self._lender.tallies(self._tallies).items():
                whole.setdefault(name, Tally()).add(tally)
        return whole

    def _rows(self) -> list[dict[str, Any]]:
        found = sorted(self.tallies().items())
        return [{"feeder": name, **tally.to_wire()} for name, tally in found]

    def _own_tallies(self) -> list[tuple[str, Tally]]:
        return [(feeder.name, desk.tally) for feeder, desk in self._desks.items()]

    def _report(self, client_id: str, data: dict[str, Any], **_event: Any) -> None:
        data[_FIELD] = {name: tally.to_wire() for name, tally in self._own_tallies()}

    def _take_report(self, client_id: str, data: dict[str, Any], **_event: Any) -> None:
        if _FIELD in data:
            found = data[_FIELD].items()
            self._tallies[client_id] = {name: Tally(**counts) for name, counts in found}
        self._look()

    def _user_left(self, user: User) -> None:
        for desk in list(self._desks.values()):
            desk.user_left(user)
        self._look()

    def _look_later(self, **_event: Any) -> None:
        gevent.spawn(self._look)  # the runner's own listener may come after this one

    def _look(self) -> None:
        """End the test when feeders have stopped somebody and nobody is left."""
        runner = self.environment.runner
        if not self._stopped_somebody or runner is None or runner.user_count:
            return
        if isinstance(runner, WorkerRunner):
            runner.send_message(_LEFT, runner.user_classes_count)
        elif runner.state == STATE_RUNNING and runner.target_user_count:
            spawning = isinstance(runner, MasterRunner) and runner.clients.spawning
            if not spawning:
                self._end_test(0)

    def _worker_has_nobody(self, environment: Environment, msg: Any, **_event: Any) -> None:
        runner = self.environment.runner
        if isinstance(runner, MasterRunner) and msg.node_id in runner.clients:
            runner.clients[msg.node_id].user_classes_count = msg.data
        self._stopped_somebody = True
        self._look()

    def _worker_asks_for_the_end(self, environment: Environment, msg: Any, **_event: Any) -> None:
        self._end_test(msg.data["exit_code"])

    def _end_test(self, exit_code: int) -> None:
        """End it, with this exit code unless it is 0; safe to call again."""
        runner = self.environment.runner
        if isinstance(runner, WorkerRunner):
            runner.send_message(_END, {"exit_code": exit_code})
            return
        if exit_code and self.environment.process_exit_code is None:
            self.environment.process_exit_code = exit_code
        if runner is not None and "ending" not in self._told:
            self._told.add("ending")
            gevent.spawn(self._quit)

    def _quit(self) -> None:
        runner = self.environment.runner
        options = self.environment.parsed_options
        assert runner is not None
        if options is None or runner.state in ("stopping", "stopped", "cleanup"):
            return  # a program that runs Locust ends its test itself
        if options.headless:
            runner.quit()
        else:
            runner.stop()


def declared_feeders() -> list[Feeder]:
    """The feeders that are declared in this process, by name."""
    return sorted(_declared, key=lambda feeder: feeder.name)


def _named(name: str) -> list[Feeder]:
    return [each for each in _declared if each.name == name and each.share == "test"]


def _refuse_twice(feeder: Feeder) -> None:
    raise ConfigurationError(
        f"there are two feeders with the name {feeder.name!r}; declare one in the module or on a"
        " class, where it is made once, or tell them apart by name="
    )
