"""Who decides about all processes: the master, or the only process there is.

It hears from each process how many users of each class are there, how many of those are not ready
yet, and whether there is nothing left for them to do. When nothing is left and nobody there, the
test has ended.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import STATE_MISSING, STATE_RUNNING, MasterRunner

import functools
from collections.abc import Callable
from typing import Any, Final

from protouser._schedule._arrival_rate import iterations_of, rate_of
from protouser._schedule._grants import Grants
from protouser._schedule._share import Crowd, Share, Tell

__all__ = ["LOCAL", "Leader"]

#: The name of the only process.
LOCAL: Final = "local"
#: How far ahead a master decides, in seconds, so that all workers know in time.
_LEAD: Final = 0.25


class Leader:
    """Decides for every scheduled class of an environment; ``tell`` reaches the processes."""

    def __init__(self, environment: Environment, tell: Tell) -> None:
        self._environment = environment
        self._tell = tell
        self._courses: dict[str, Share | Grants] = {}
        self._users: dict[str, int] = {}
        self._some_over = False

    def hear(self, member: str, report: dict[str, Any]) -> None:
        """How things stand in a process."""
        self._users[member] = report["users"]
        self._some_over = self._some_over or report["over"]
        for name, figures in report["classes"].items():
            course = self._course(name)
            if course is not None:
                course.hear(member, Crowd(*figures))

    def asked(self, member: str, request: dict[str, Any]) -> None:
        """A process wants iterations."""
        course = self._course(request["class"])
        if isinstance(course, Grants):
            course.asked(member, request["wanted"], request["used"])

    def decide(self) -> bool:
        """Look at everything anew; true when the test has nothing left to do."""
        self._forget_missing()
        spawned, present = self._progress()
        for course in self._courses.values():
            if isinstance(course, Share):
                course.decide(spawned, present)
        return self._some_over and spawned and not any(self._users.values())

    def forget(self) -> None:
        """Figures are counted from zero again."""
        for course in self._courses.values():
            course.forget()

    def account(self, measured: Callable[[str, str], int]) -> list[tuple[str, str, int]]:
        """What became of slots that no process has counted: (class, counter, number).

        ``measured`` says how many slots of a (class, process) are in the figures.
        """
        return [
            (name, counter, number)
            for name, course in self._courses.items()
            for counter, number in course.account(functools.partial(measured, name))
        ]

    def _course(self, name: str) -> Share | Grants | None:
        course = self._courses.get(name)
        if course is None:
            user_class = self._environment.user_classes_by_name.get(name)
            if user_class is None:
                return None
            course = self._courses[name] = self._new_course(name, user_class)
        return course

    def _new_course(self, name: str, user_class: type) -> Share | Grants:
        rate, limit = rate_of(user_class), iterations_of(user_class)
        if rate is not None:
            lead = _LEAD if isinstance(self._environment.runner, MasterRunner) else 0.0
            return Share(name, rate, lead, self._tell)
        assert limit is not None
        return Grants(name, limit, self._tell)

    def _progress(self) -> tuple[bool, float]:
        """Whether all users were spawned, and which share of them there is."""
        runner = self._environment.runner
        if runner is None:
            return True, 1.0
        wanted = max(1, runner.target_user_count)
        return runner.state == STATE_RUNNING, min(1.0, runner.user_count / wanted)

    def _forget_missing(self) -> None:
        runner = self._environment.runner
        if isinstance(runner, MasterRunner):
            there = {client.id for client in runner.clients.all if client.state != STATE_MISSING}
            for member in set(self._users) - there:
                del self._users[member]
                for course in self._courses.values():
                    course.lose(member)
