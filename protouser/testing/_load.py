"""A small load inside any test: real users, Locust's own local runner, results by (type, name)."""

from __future__ import annotations

from locust import User
from locust.env import Environment
from locust.runners import LocalRunner

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent

from protouser._attach import attach, check_hosts
from protouser._call import now
from protouser._schedule import check_schedules
from protouser.testing._results import Report, Results

__all__ = ["capture", "load"]

_POLL = 0.02
#: Users have so many turns at least, also where the process stands still meanwhile.
_FEWEST_LOOKS = 10


def load(
    *user_classes: type[User],
    users: int = 5,
    seconds: float = 3.0,
    host: str | None = None,
    stop_timeout: float = 0.0,
    options: Namespace | None = None,
    until: Callable[[], bool] | None = None,
) -> Results:
    """Run users of the classes for some seconds, or until they have all ended.

    A test that waits for something to happen says so with ``until``, and gives many seconds: it
    then depends on no machine's speed.

    Args:
        user_classes: what to run.
        users: how many, spread over the classes.
        seconds: how long; the test ends earlier when no user is left.
        host: as ``--host``.
        stop_timeout: as ``--stop-timeout``: how long running tasks may take to finish.
        options: what users find as ``self.environment.parsed_options``.
        until: asked again and again; the test ends as soon as it is true.

    Raises:
        ConfigurationError: a host that no run can reach, or a schedule that cannot be read, before
            the load starts.
    """
    environment = Environment(
        user_classes=list(user_classes),
        host=host,
        stop_timeout=stop_timeout,
        parsed_options=options,
    )
    check_hosts(environment)
    check_schedules(user_classes)
    session = attach(environment)
    runner = environment.create_local_runner()
    errors: list[BaseException] = []
    environment.events.user_error.add_listener(lambda exception, **_: errors.append(exception))
    with capture(environment) as reports:
        runner.start(users, spawn_rate=min(users, 100))
        _run(runner, seconds, until or (lambda: False))
        runner.quit()
    verdict = session.sections.as_json("verdict")
    return Results(session.results(), session.seconds, reports, errors, verdict)


@contextmanager
def capture(environment: Environment) -> Iterator[list[Report]]:
    """The request events that an environment fires inside the block, as a growing list."""
    reports: list[Report] = []

    def listener(**event: Any) -> None:
        reports.append(Report(**{name: event[name] for name in Report.__slots__}))

    environment.events.request.add_listener(listener)
    try:
        yield reports
    finally:
        environment.events.request.remove_listener(listener)


def _run(runner: LocalRunner, seconds: float, until: Callable[[], bool]) -> None:
    began, looks = now(), 0
    while (looks < _FEWEST_LOOKS or now() - began < seconds) and not until():
        looks += 1
        gevent.sleep(min(_POLL, seconds))
        spawning = runner.spawning_greenlet
        if spawning is not None and spawning.ready() and runner.user_count == 0:
            return
