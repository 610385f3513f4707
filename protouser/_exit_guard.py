"""A process that exits while a test runs ends the test first, and keeps what was measured.

``sys.exit()`` in a listener, a load shape or a greenlet of one's own, and Ctrl-C pressed once too
often, end the main greenlet somewhere in Locust's own code, which then tells nobody. What is left
is the exit of the interpreter. Its exit code is decided by then.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import Runner, WorkerRunner
from locust.stats import print_error_report, print_percentile_stats, print_stats

import atexit
import logging
import os

from protouser._session import Session

__all__ = ["ExitGuard"]

logger = logging.getLogger(__name__)


class ExitGuard:
    """Does what Locust does when it quits, unless Locust has done it."""

    def __init__(self, session: Session, environment: Environment) -> None:
        self._session = session
        self._environment = environment
        self._process = os.getpid()

    def watch(self) -> None:
        """Watch over the process until Locust has quit in order."""
        atexit.register(self._exit)
        self._environment.events.quit.add_listener(lambda **_: atexit.unregister(self._exit))

    def _exit(self) -> None:
        session = self._session
        started = session.running or session.ended is not None
        if self._environment.runner is None or not started or os.getpid() != self._process:
            return
        logger.error(
            "the process exits without Locust's own end, by sys.exit() outside of a user or by"
            " repeated Ctrl-C; what was measured is kept. Call runner.quit() to end a test"
        )
        while True:
            try:
                return self._end(self._environment, self._environment.runner)
            except SystemExit:  # every greenlet that says so is heard in this one
                continue

    def _end(self, environment: Environment, runner: Runner) -> None:
        environment.events.quitting.fire(environment=environment, reverse=True)
        runner.quit()
        if not isinstance(runner, WorkerRunner):
            print_stats(runner.stats, current=False)
            print_percentile_stats(runner.stats)
            print_error_report(runner.stats)
        environment.events.quit.fire(exit_code=environment.process_exit_code or 1)
