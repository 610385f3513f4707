"""A test whose users have all ended by themselves goes on for its time; that is said, once."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import STATE_RUNNING

import logging
from typing import Any, Final

__all__ = ["Deserted"]

logger = logging.getLogger(__name__)

#: Seconds for what ends a test without users, such as a feeder that has no more rows.
_PATIENCE: Final = 3


class Deserted:
    """Looks whether anybody is left, where the results are."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._empty = 0
        environment.events.test_start.add_listener(self._start)

    def _start(self, **_event: Any) -> None:
        self._empty = 0

    def look(self) -> None:
        """A second has passed."""
        runner = self._environment.runner
        if runner is None or runner.state != STATE_RUNNING or not runner.target_user_count:
            return
        self._empty = 0 if runner.user_count else self._empty + 1
        if self._empty == _PATIENCE:
            logger.warning(
                "no user is left of %d: each one ended by itself, for the reasons above or because"
                " it was done; nothing more happens in this test",
                runner.target_user_count,
            )
