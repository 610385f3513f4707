"""Control flow, Locust's and Python's: exceptions that are no results of a call."""

from __future__ import annotations

from locust.exception import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)

from typing import Final

import gevent

from protouser._errors import CallSkipped

__all__ = ["ENDINGS", "STEERING", "steers_locust"]

STEERING: Final = (
    StopUser,
    StopTest,
    RescheduleTask,
    RescheduleTaskImmediately,
    InterruptTaskSet,
    CallSkipped,
)

#: What ends a greenlet, a generator or the process.
ENDINGS: Final = (gevent.GreenletExit, GeneratorExit, KeyboardInterrupt, SystemExit)


def steers_locust(error: BaseException) -> bool:
    """True for an exception that tells Locust what to do next."""
    return isinstance(error, STEERING)
