"""Locust's control flow: exceptions that are no results of a call."""

from __future__ import annotations

from locust.exception import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)

from typing import Final

from protouser._errors import CallSkipped

__all__ = ["STEERING", "steers_locust"]

STEERING: Final = (
    StopUser,
    StopTest,
    RescheduleTask,
    RescheduleTaskImmediately,
    InterruptTaskSet,
    CallSkipped,
)


def steers_locust(error: BaseException) -> bool:
    """True for an exception that tells Locust what to do next."""
    return isinstance(error, STEERING)
