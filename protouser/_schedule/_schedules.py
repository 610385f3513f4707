"""The schedules of one environment in this process: who is there, whose turn it is, who decides.

A process with users reports to the leader ten times a second where something has changed, and is
told epochs and grants. On a master there are no users, and in a single process the leader is
beside them; the way of a message is then one function call.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

import functools
import logging
from typing import TYPE_CHECKING, Any, Final

import gevent

from protouser._call import now
from protouser._schedule._arrival_rate import iterations_of, rate_of
from protouser._schedule._leader import LOCAL, Leader
from protouser._schedule._plan import Positions
from protouser._schedule._results import SCHEDULE, planned
from protouser._schedule._share import EVERYBODY
from protouser._schedule._timetable import Epoch, Timetable
from protouser._schedule._turns import Allowance, SlotTurns, Turns

if TYPE_CHECKING:
    from protouser._session import Session
    from protouser._user import ProtocolUser

__all__ = ["Schedules"]

logger = logging.getLogger(__name__)

_REPORT: Final = "protouser-schedule-report"
_REQUEST: Final = "protouser-schedule-request"
_TOLD: Final = "protouser-schedule"

_BEAT: Final = 0.1
#: A report is repeated after so many beats though nothing has changed.
_REPEATED: Final = 10


class _Class:
    """The users of one class in this process, and their turns."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.present: set[ProtocolUser] = set()
        self.arriving: set[ProtocolUser] = set()

    def report(self) -> list[int]:
        return [len(self.present), len(self.arriving), self.turns.used]


class Schedules:
    """Turns for every user class with an arrival rate or a number of iterations."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._environment: Environment | None = session.environment
        self._classes: dict[str, _Class] = {}
        self._leader: Leader | None = None
        self._beating: gevent.Greenlet[..., Any] | None = None
        self._registered: object = None
        self._reported: tuple[dict[str, Any], int] = ({}, 0)

    def start(self, environment: Environment) -> None:
        """A test starts: everything begins anew."""
        self.end()
        self._environment = environment
        self._classes.clear()
        self._leader = None
        self._register(environment)
        if isinstance(environment.runner, MasterRunner) and any(
            map(_is_scheduled, environment.user_classes)
        ):
            self._begin(environment)

    def enter(self, user: ProtocolUser) -> Turns | None:
        """A user is there; what gives it its turns, if its class has a schedule.

        Raises:
            gevent.GreenletExit: there are no turns left, so it need not even connect.
        """
        if not _is_scheduled(type(user)):
            return None
        environment = self._environment or user.environment
        self._begin(environment)
        name = type(user).__name__
        scheduled = self._classes.get(name)
        if scheduled is None:
            scheduled = self._classes[name] = _Class(self._turns_of(type(user)))
        if scheduled.turns.over:
            raise gevent.GreenletExit
        scheduled.present.add(user)
        scheduled.arriving.add(user)
        return scheduled.turns

    def is_ready(self, user: ProtocolUser) -> None:
        """A user is about to take its first turn; said again before every turn."""
        arriving = self._classes[type(user).__name__].arriving
        if arriving and user in arriving:
            arriving.discard(user)
            if not arriving:
                self._report()

    def leave(self, user: ProtocolUser) -> None:
        """A user has ended; said once or more, or of a user that was never there."""
        scheduled = self._classes.get(type(user).__name__)
        if scheduled is not None:
            scheduled.present.discard(user)
            scheduled.arriving.discard(user)

    def freeze(self) -> None:
        """The test stops: no turn is given away any more."""
        for scheduled in self._classes.values():
            scheduled.turns.close()
        if self._classes:
            self._report()

    def end(self) -> None:
        """The test has stopped."""
        self.freeze()
        beating, self._beating = self._beating, None
        if beating is not None and beating is not gevent.getcurrent():
            beating.kill(block=False)

    def forget(self) -> None:
        """Figures are counted from zero again."""
        if self._leader is not None:
            self._leader.forget()

    def account(self) -> None:
        """Count the slots that nobody could count, once all processes have reported."""
        if self._leader is not None:
            for name, counter, number in self._leader.account(self._measured):
                self._count(name, counter, number)

    def _measured(self, name: str, member: str) -> int:
        figures = self._session.by_worker.get(member)
        return 0 if figures is None else planned(figures, name)

    def _begin(self, environment: Environment) -> None:
        """Start to report and to decide, if that has not begun."""
        if self._beating is not None:
            return
        self._register(environment)
        if not isinstance(environment.runner, WorkerRunner):
            self._leader = Leader(environment, self._tell)
        self._beating = gevent.spawn(self._beat)

    def _turns_of(self, user_class: type) -> Turns:
        name = user_class.__name__
        count = functools.partial(self._count, name)
        rate, limit = rate_of(user_class), iterations_of(user_class)
        if rate is None:
            return Allowance(functools.partial(self._request, name), count)
        timetable = Timetable(rate.plan(), self._member, limit)
        return SlotTurns(timetable, rate.late, count)

    def _count(self, name: str, counter: str, number: int = 1) -> None:
        self._session.figures.add(SCHEDULE, name, counter, number)

    @property
    def _member(self) -> str:
        runner = self._runner
        return runner.client_id if isinstance(runner, WorkerRunner) else LOCAL

    @property
    def _runner(self) -> Any:
        return None if self._environment is None else self._environment.runner

    def _beat(self) -> None:
        while True:
            for scheduled in self._classes.values():
                scheduled.turns.settle(len(scheduled.present))
            if self._classes:
                self._report(only_news=True)
            if self._leader is not None and self._leader.decide():
                self._finish()
                return
            gevent.sleep(_BEAT)

    def _finish(self) -> None:
        """There is nothing left to do and nobody left to do it."""
        runner, self._beating = self._runner, None
        if runner is None:
            return
        logger.info("All iterations are done and all users have stopped: the test ends")
        options = runner.environment.parsed_options
        if options is not None and options.headless:
            runner.quit()
        else:
            runner.stop()

    def _report(self, only_news: bool = False) -> None:
        runner = self._runner
        report = {
            "users": runner.user_count if runner is not None else 0,
            "over": any(scheduled.turns.over for scheduled in self._classes.values()),
            "classes": {name: each.report() for name, each in self._classes.items()},
        }
        last, beats = self._reported
        if only_news and report == last and beats < _REPEATED:
            self._reported = (last, beats + 1)
            return
        self._reported = (report, 0)
        self._say(_REPORT, report)

    def _request(self, name: str, wanted: int) -> None:
        used = self._classes[name].turns.used
        self._say(_REQUEST, {"class": name, "wanted": wanted, "used": used})

    def _say(self, kind: str, data: dict[str, Any]) -> None:
        """Tell the leader."""
        runner = self._runner
        if isinstance(runner, WorkerRunner):
            runner.send_message(kind, data)
        elif self._leader is not None:
            self._hear(kind, LOCAL, data)

    def _hear(self, kind: str, member: str, data: dict[str, Any]) -> None:
        """As the leader."""
        if self._leader is None:
            return
        if kind == _REQUEST:
            self._leader.asked(member, data)
        else:
            self._leader.hear(member, data)

    def _tell(self, member: str, data: dict[str, Any]) -> None:
        """As the leader, tell a process, or everybody."""
        runner = self._runner
        if isinstance(runner, MasterRunner):
            runner.send_message(_TOLD, data, client_id=member if member != EVERYBODY else None)
        else:
            self._obey(data)

    def _obey(self, data: dict[str, Any]) -> None:
        """What the leader said holds from now on."""
        scheduled = self._classes.get(data["class"])
        if scheduled is None:
            return
        turns = scheduled.turns
        if isinstance(turns, Allowance):
            turns.grant(data["granted"], data["over"])
        elif isinstance(turns, SlotTurns):
            turns.set_clock(now() - data["elapsed"])
            turns.add(Epoch.from_wire(data["epoch"]), Positions(data["seed"]))

    def _register(self, environment: Environment) -> None:
        """Take part in the messages between master and workers."""
        runner = environment.runner
        if runner is None or runner is self._registered:
            return
        self._registered = runner
        if isinstance(runner, WorkerRunner):
            runner.register_message(_TOLD, lambda environment, msg, **_: self._obey(msg.data))
        elif isinstance(runner, MasterRunner):
            for kind in (_REPORT, _REQUEST):
                runner.register_message(kind, functools.partial(self._receive, kind))

    def _receive(self, kind: str, environment: Environment, msg: Any, **_event: Any) -> None:
        self._hear(kind, msg.node_id, msg.data)


def _is_scheduled(user_class: type) -> bool:
    return rate_of(user_class) is not None or iterations_of(user_class) is not None
