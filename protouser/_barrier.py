"""All users connected, then go: ``wait_for_all`` over all workers.

A worker looks ten times a second whether its attendance at a closed gate has changed, and tells
the master, which decides and tells all. So ten thousand users cost a message per worker and tenth
of a second, not ten thousand; users who end meanwhile need no message of their own. A local runner
decides by itself.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import STATE_RUNNING, LocalRunner, MasterRunner, WorkerRunner
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.event import Event

from protouser._call import get_thread_ident
from protouser._errors import CallTimeout, ConfigurationError
from protouser._gate import Attendance, Gate

if TYPE_CHECKING:
    from protouser._user import ProtocolUser

__all__ = ["Barrier", "wait_for_all"]

#: A gate's name, and the classes whose users it is for.
Key = tuple[str, ...]

_ATTENDANCE: Final = "protouser-attendance"
_CLOSED: Final = "protouser-gate-closed"
_OPEN: Final = "protouser-gate-open"
_PAUSE: Final = 0.1
#: Looks that may pass before users are counted by class again though their number is the same: one
#: may have ended while one of another class began.
_LOOKS_PER_COUNT: Final = 10
_ALONE: Final = "local"


def wait_for_all(
    user: ProtocolUser, name: str, timeout: float | None, among: Sequence[type]
) -> None:
    """What ``ProtocolUser.wait_for_all`` does."""
    session = user._session
    if get_thread_ident() != session.thread:
        raise ConfigurationError("wait_for_all() in an async task or a native thread; use a task")
    classes = sorted({kind.__name__ for kind in among} | {type(user).__name__})
    with user.measure(f"wait for all: {name}", one_way=True) as call:
        waits_itself = user._state == LOCUST_STATE_RUNNING and user._greenlet is gevent.getcurrent()
        if waits_itself:
            user._state = LOCUST_STATE_WAITING  # a stop ends it now, not at the end of its task
        try:
            session.barrier.wait((name, *classes), timeout)
        finally:
            if waits_itself and user._state != LOCUST_STATE_STOPPING:
                user._state = LOCUST_STATE_RUNNING
        call.mark("wait")


class _Door:
    """A gate as the users of this process see it."""

    def __init__(self) -> None:
        self.opened = Event()
        self.waiting = 0
        self.told: Attendance | None = None
        self.total = Attendance()


class _Alive:
    """How many users there are of each class; Locust counts them one by one."""

    def __init__(self) -> None:
        self._counted: Mapping[str, int] = {}
        self._of = -1
        self._looks = 0

    def by_class(self, runner: Any) -> Mapping[str, int]:
        """Counted anew where their number has changed, and now and then."""
        number = len(runner.user_greenlets)
        self._looks += 1
        if number != self._of or self._looks >= _LOOKS_PER_COUNT:
            self._counted, self._of, self._looks = runner.user_classes_count, number, 0
        return self._counted


class Barrier:
    """The gates of one environment, in one process; closed anew for each test."""

    def __init__(self, environment: Environment | None) -> None:
        self._environment = environment
        self._registered = False
        self._doors: dict[Key, _Door] = {}
        self._gates: dict[Key, Gate] = {}
        self._watch: gevent.Greenlet[..., Any] | None = None
        self._alive = _Alive()

    def register(self) -> None:
        """Take part in the messages of master and workers; forget the last test's gates."""
        self.close()
        runner = self._environment and self._environment.runner
        if self._registered or runner is None:
            return
        self._registered = True
        if isinstance(runner, WorkerRunner):
            runner.register_message(_CLOSED, self._hear_of_closed)
            runner.register_message(
                _OPEN, lambda environment, msg, **_: self._open(msg.data["gate"])
            )
        elif isinstance(runner, MasterRunner):
            runner.register_message(_ATTENDANCE, self._hear_of_attendance)

    def close(self) -> None:
        """The test ends: nobody is waited for any more."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.kill(block=False)
        self._doors.clear()
        self._gates.clear()

    def wait(self, key: Key, timeout: float | None) -> None:
        """Wait until the gate is open.

        Raises:
            CallTimeout: it was not within ``timeout`` seconds.
        """
        if self._environment is None or self._environment.runner is None:
            return  # a user for himself, as in a debugger: all are there
        door = self._doors.setdefault(key, _Door())
        if door.opened.is_set():
            return
        door.waiting += 1
        self._start_watch()
        try:
            if not door.opened.wait(timeout):
                raise CallTimeout(_lateness(door.total, timeout))
        finally:
            door.waiting -= 1

    def _start_watch(self) -> None:
        if self._watch is None or self._watch.dead:
            self._watch = gevent.spawn(self._look)

    def _look(self) -> None:
        assert self._environment is not None
        runner = self._environment.runner
        while self._look_at_all(runner):
            gevent.sleep(_PAUSE)

    def _look_at_all(self, runner: Any) -> bool:
        """True while a gate is closed."""
        if isinstance(runner, MasterRunner):
            closed = [(key, gate) for key, gate in self._gates.items() if not gate.is_open]
            for key, gate in closed:
                self._decide(runner, key, gate)
            return bool(closed)
        doors = [(key, door) for key, door in self._doors.items() if not door.opened.is_set()]
        alive = self._alive.by_class(runner) if doors else {}
        for key, door in doors:
            self._tell(runner, key, door, alive)
        return bool(doors)

    def _tell(self, runner: Any, key: Key, door: _Door, alive: Mapping[str, int]) -> None:
        """A worker, or a local runner, says how its users stand."""
        attendance = _attendance(runner, key, door, alive)
        if attendance == door.told:
            return
        door.told = attendance
        if isinstance(runner, WorkerRunner):
            runner.send_message(_ATTENDANCE, {"gate": list(key), "says": attendance.to_wire()})
            return
        door.total = attendance
        gate = self._gates.setdefault(key, Gate())
        gate.note(_ALONE, attendance)
        if gate.try_open([_ALONE], None):
            door.opened.set()

    def _hear_of_attendance(self, environment: Environment, msg: Any, **_event: Any) -> None:
        """On the master."""
        key = tuple(msg.data["gate"])
        gate = self._gates.setdefault(key, Gate())
        gate.note(msg.node_id, Attendance.from_wire(msg.data["says"]))
        runner = environment.runner
        if gate.is_open and runner is not None:  # a worker that came late
            runner.send_message(_OPEN, {"gate": list(key)}, client_id=msg.node_id)
        else:
            self._start_watch()

    def _decide(self, runner: MasterRunner, key: Key, gate: Gate) -> None:
        clients = runner.clients
        present = {client.id for client in [*clients.running, *clients.spawning]}
        # The number that is aimed at is known at once, the sum over classes only after the ramp-up,
        # which may be less: classes with a fixed count.
        aimed_at = None if runner.spawning_completed else runner.target_user_count
        if not gate.silent(present) and gate.try_open(present, aimed_at):
            runner.send_message(_OPEN, {"gate": list(key)})
            return
        total = gate.total(present).to_wire()
        for client_id in present:
            runner.send_message(_CLOSED, {"gate": list(key), "total": total}, client_id=client_id)

    def _hear_of_closed(self, environment: Environment, msg: Any, **_event: Any) -> None:
        """On a worker: others wait, and so many in all."""
        door = self._doors.setdefault(tuple(msg.data["gate"]), _Door())
        door.total = Attendance.from_wire(msg.data["total"])
        self._start_watch()

    def _open(self, key: list[str]) -> None:
        self._doors.setdefault(tuple(key), _Door()).opened.set()


def _attendance(runner: Any, key: Key, door: _Door, alive: Mapping[str, int]) -> Attendance:
    settled = runner.state == STATE_RUNNING
    if not isinstance(runner, LocalRunner):
        spawning = runner.spawning_greenlet
        settled = spawning is None or spawning.ready()
    classes = key[1:]
    present = sum(alive.get(name, 0) for name in classes)
    return Attendance(door.waiting, present, runner.target_user_count, settled)


def _lateness(total: Attendance, timeout: float | None) -> str:
    text = f"only {total.waiting} of {total.alive} users came within {timeout:g} s"
    return text if total.settled else f"{text}, and more were to be spawned"
