"""``arrival_rate``: tasks start when they are due, not when the one before has ended."""

from __future__ import annotations

from locust import TaskSet

import inspect
from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING, Any, Final

from protouser._errors import ConfigurationError
from protouser._schedule._plan import Plan, Stage
from protouser._schedule._rates import read_duration, read_rate, refuse

if TYPE_CHECKING:
    from protouser._user import ProtocolUser

__all__ = [
    "CATCH_UP",
    "DROP",
    "SLIP",
    "ArrivalRate",
    "arrival_rate",
    "check_schedules",
    "iterations_of",
    "rate_of",
]

CATCH_UP: Final = "catch_up"
DROP: Final = "drop"
SLIP: Final = "slip"
_POLICIES: Final = (CATCH_UP, DROP, SLIP)

Given = str | tuple[Any, ...]


class ArrivalRate:
    """What ``arrival_rate`` returns: a wait time of none, and a plan of when tasks are due.

    It is read when a test starts, so that a mistake is one line of text and no traceback.

    Attributes:
        late: what becomes of a task for which no user is free when it is due.
        poisson: arrivals are random and the rate is their mean.
        seed: of the random arrivals; None for another one in each test.
    """

    def __init__(
        self, given: tuple[Given, ...], late: str, poisson: bool, seed: int | None
    ) -> None:
        self._given = given
        self.late = late
        self.poisson = poisson
        self.seed = seed

    def __call__(self, _user: Any = None) -> float:
        """The wait that Locust asks for after a task: none, the next task waits for its slot."""
        return 0.0

    def __get__(self, holder: Any, owner: type | None = None) -> ArrivalRate:
        if holder is not None and (isinstance(holder, TaskSet) or not _is_scheduled(holder)):
            raise ConfigurationError(_MISPLACED.format(type(holder).__name__))
        return self

    def plan(self) -> Plan:
        """The stages as given.

        Raises:
            ConfigurationError: they cannot be read; the text shows where.
        """
        if self.late not in _POLICIES:
            known = ", ".join(f'"{policy}"' for policy in _POLICIES)
            raise ConfigurationError(f"late={self.late!r} is no policy; there are {known}")
        if self.seed is not None and not isinstance(self.seed, int):
            raise ConfigurationError(f"seed={self.seed!r} is no whole number")
        if not self._given:
            raise ConfigurationError('a rate is missing, as in arrival_rate("200/s")')
        stages = [_stage(given) for given in self._given]
        for given, stage in zip(self._given[:-1], stages, strict=False):
            if stage.seconds == inf:
                raise ConfigurationError(
                    f"{given!r} has no duration, so what follows it would never begin;"
                    f' write ({given!r}, "1m")'
                )
        return Plan(stages)


_MISPLACED: Final = (
    "{}: arrival_rate is the wait_time of a ProtocolUser class, not of a TaskSet and not of another"
    " user; class MyUser(HttpUser, ProtocolUser) makes any user one"
)


def arrival_rate(
    *stages: Given, late: str = CATCH_UP, poisson: bool = False, seed: int | None = None
) -> ArrivalRate:
    """A ``wait_time`` for a user class: how many tasks of all its users together start per second.

    ``arrival_rate("200/s")`` is one rate for the whole test, over all workers. Stages follow each
    other: ``("0/s", "500/s", "1m")`` changes the rate evenly, ``("500/s", "5m")`` keeps it, and
    when the last one has a duration the users stop after it. The number of users is how many tasks
    can run at once. The clock starts when all users are there and ready; until then the rate is
    that of the begin, scaled with those present.

    Args:
        stages: a rate, or tuples as above; rates in /s, /m or /h, durations like "90s" or "1m30s".
        late: what becomes of a task for which no user is free when it is due: "catch_up" starts it
            as soon as one is, "drop" counts it as dropped, "slip" delays all that follow as well.
        poisson: arrivals are random, and the rate is their mean.
        seed: makes the random arrivals of two tests the same.
    """
    return ArrivalRate(stages, late, poisson, seed)


def rate_of(user_class: type) -> ArrivalRate | None:
    """The arrival rate of a user class, if it has one."""
    rate = inspect.getattr_static(user_class, "wait_time", None)
    return rate if isinstance(rate, ArrivalRate) else None


def iterations_of(user_class: type) -> int | None:
    """How many tasks all users of a class start in a test; None without a limit.

    Raises:
        ConfigurationError: the limit is no whole number above zero.
    """
    limit = getattr(user_class, "iterations", None)
    if limit is None or (type(limit) is int and limit > 0):
        return limit
    raise ConfigurationError(f"iterations = {limit!r} is no whole number above zero")


def check_schedules(user_classes: Iterable[type]) -> None:
    """Read every arrival rate and limit before the load starts.

    Raises:
        ConfigurationError: one cannot be read, or stands where it has no effect.
    """
    for user_class in user_classes:
        try:
            _check(user_class)
        except ConfigurationError as error:
            raise ConfigurationError(f"{user_class.__name__}: {error}") from None


def _check(user_class: type) -> None:
    rate = rate_of(user_class)
    if rate is not None and not _is_scheduled(user_class):
        raise ConfigurationError(_MISPLACED.format("wait_time"))
    if rate is not None:
        rate.plan()
    if _is_scheduled(user_class):
        iterations_of(user_class)
    for taskset in _tasksets(getattr(user_class, "tasks", ())):
        if rate_of(taskset) is not None:
            raise ConfigurationError(_MISPLACED.format(taskset.__name__))


def _tasksets(tasks: Iterable[Any], known: frozenset[type] = frozenset()) -> Iterable[type]:
    for task in set(tasks):
        if inspect.isclass(task) and issubclass(task, TaskSet) and task not in known:
            yield task
            yield from _tasksets(task.tasks, known | {task})


def _is_scheduled(user: type[ProtocolUser] | ProtocolUser | Any) -> bool:
    return hasattr(user, "_iteration")


def _stage(given: Given) -> Stage:
    if isinstance(given, str):
        return Stage(*(2 * (_above_zero(given, read_rate(given)),)), inf)
    if not isinstance(given, tuple) or len(given) not in (2, 3):
        raise ConfigurationError(
            f"{given!r} is no stage; write (rate, duration) or (from, to, duration), as in"
            ' ("0/s", "500/s", "1m")'
        )
    *texts, duration = given
    rates = [read_rate(text) for text in texts]
    if not any(rates):
        _above_zero(texts[0], 0.0)
    return Stage(rates[0], rates[-1], read_duration(duration))


def _above_zero(text: str, rate: float) -> float:
    if not rate:
        refuse(text, len(text) - len(text.lstrip()), "at a rate of 0 nothing would ever start")
    return rate
