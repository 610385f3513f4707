"""The exit code of a run, once everything that judges it has spoken."""

from __future__ import annotations

import logging
from typing import Final

from protouser._session import Session

__all__ = ["CROSSED", "ExitCode"]

logger = logging.getLogger(__name__)

#: A threshold was crossed, the run is worse than its baseline, or neither can be known.
CROSSED: Final = 3


class ExitCode:
    """What the process ends with; of several tests in one process, the last one decides.

    A code that somebody else has set, such as the locustfile, is left alone unless a threshold was
    crossed. Figures that lack those of a lost worker prove nothing: such a run does not pass.
    """

    def __init__(self, session: Session) -> None:
        assert session.environment is not None
        self._session = session
        self._environment = session.environment
        self._ours: int | None = None

    def forget(self) -> None:
        """A test starts: what was said of the last one does not count."""
        if self._ours is not None and self._environment.process_exit_code == self._ours:
            self._environment.process_exit_code = None
        self._ours = None

    def decide(self, thresholds: bool | None, baseline: bool | None) -> None:
        """A test has ended: which of them holds; None where nothing was asked."""
        if thresholds is False or baseline is False:
            self._set(CROSSED)
        elif self._session.missing and (thresholds or baseline):
            logger.error("the run does not pass, since the figures of a worker are missing")
            self._set(CROSSED)
        elif (
            thresholds and self._only_calls_failed() and self._environment.process_exit_code is None
        ):
            self._set(0)

    def _set(self, code: int) -> None:
        self._environment.process_exit_code = self._ours = code

    def _only_calls_failed(self) -> bool:
        """Failed calls alone are no failure of a run whose thresholds all passed."""
        runner, options = self._environment.runner, self._environment.parsed_options
        was_given = getattr(options, "exit_code_on_error", 1) != 1
        return not (was_given or runner is None or not runner.errors or runner.exceptions)
