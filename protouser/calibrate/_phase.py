"""A short load of one kind of call, and what it took."""

from __future__ import annotations

from locust import User
from locust.env import Environment

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time
from typing import Any, Final

import gevent

from protouser._attach import attach
from protouser._call import now
from protouser._errors import ProtouserError
from protouser._figures import FAILURE, SERVICE, SUCCESS, Figures, Key
from protouser._histogram import Histogram
from protouser._schedule import SCHEDULE
from protouser.verdict import CPU, STARVED

__all__ = ["NotCalibrated", "Phase", "load"]

#: Until connections are made and caches are warm, in seconds.
_WARM_UP: Final = 0.5
_POLL: Final = 0.05
_SPAWNING_MAY_TAKE: Final = 20.0


class NotCalibrated(ProtouserError):
    """Calls failed, or there were none."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What was measured: the calls' type, their service times, calls a second, processor time.

    ``trouble`` says what kept the processor from this process, if anything did.
    """

    type: str
    times: Histogram
    rate: float
    cpu: float
    trouble: str


def load(
    user_class: type[User],
    call: Callable[[Any], object],
    wait_time: Callable[[Any], float],
    users: int,
    seconds: float,
) -> Phase:
    """Let users make one call again and again for some seconds, after a warm-up.

    Raises:
        NotCalibrated: a call failed, or none ended.
    """
    kind: Any = type(user_class.__name__, (user_class,), {"wait_time": wait_time})
    kind.tasks = [call]  # those of its bases it had already
    environment = Environment(user_classes=[kind], stop_timeout=1)
    session = attach(environment)
    runner = environment.create_local_runner()
    try:
        runner.start(users, spawn_rate=100)
        with gevent.Timeout(_SPAWNING_MAY_TAKE, NotCalibrated("its users did not start")):
            while runner.user_count < users or not session.results().rows():
                gevent.sleep(_POLL)
        gevent.sleep(_WARM_UP)
        environment.events.reset_stats.fire()
        began, cpu = now(), process_time()
        gevent.sleep(seconds)
        cpu, took, figures = process_time() - cpu, now() - began, session.results()
    finally:
        runner.quit()
    causes = session.sections.as_json("verdict")["causes"]
    troubles = [cause["text"] for cause in causes if cause["cause"] in (CPU, STARVED)]
    type_, times = _calls(figures)
    return Phase(type_, times, times.count / took, cpu, "; ".join(troubles))


def _calls(figures: Figures) -> tuple[str, Histogram]:
    """The row with the most calls; the only one, but for a connection that was made anew."""
    found: dict[Key, Histogram] = {
        key: histogram
        for key, histogram in figures.timed.items()
        if key[0] != SCHEDULE and key[2:] == (SERVICE, SUCCESS)
    }
    failed = figures.total(FAILURE)
    if failed or not found:
        raise NotCalibrated(f"{failed:,} calls failed" if failed else "no call ended")
    key = max(found, key=lambda each: found[each].count)
    return key[0], found[key]
