"""The servers' process, as the demonstration sees it: started, asked for addresses, ended."""

from __future__ import annotations

import locust  # noqa: F401  patches subprocess, so that waiting for the process is cooperative

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

import gevent

__all__ = ["Servers"]

logger = logging.getLogger(__name__)

_STARTING_MAY_TAKE = 30.0
_ENDING_MAY_TAKE = 5.0
_PROGRAM = Path(__file__).with_name("_server_program.py")


class Servers:
    """One process with the servers of all parts, as a context manager; it never outlives us.

    Args:
        programs: the parts' server files, by the parts' names.

    Attributes:
        answers: what the process said of each part that has servers: ``addresses``, or why there
            are none: ``missing`` (a library) or ``problem``.
    """

    def __init__(self, programs: Mapping[str, Path]) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self._paths = {name: str(path) for name, path in programs.items()}
        self._process: subprocess.Popen[str] | None = None
        self._listener: gevent.Greenlet[..., Any] | None = None

    @property
    def ended(self) -> bool:
        """True when the process has ended though nobody asked it to."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start the process and wait for the addresses."""
        if not self._paths:
            return
        # -P: the folder of the program is no place to import from. A process group of its own:
        # Ctrl-C in the terminal is for us, and the servers are needed until the users have ended.
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), json.dumps(self._paths)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        self._listener = gevent.spawn(self._pass_on, process.stderr)
        with gevent.Timeout(_STARTING_MAY_TAKE, False):  # type: ignore[arg-type]
            self._listen(process.stdout)
        for name in self._paths:
            self.answers.setdefault(name, {"problem": "its server did not start"})

    def stop(self) -> None:
        """End the process. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.close()
        try:
            process.wait(_ENDING_MAY_TAKE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._listener is not None:
            self._listener.join(1)
        process.stdout.close()
        process.stderr.close()

    def _listen(self, lines: IO[str]) -> None:
        while len(self.answers) < len(self._paths):
            line = lines.readline()
            if not line:
                return
            answer = json.loads(line)
            self.answers[answer.pop("part")] = answer

    def _pass_on(self, lines: IO[str]) -> None:
        for line in lines:
            if self._process is not None:  # what a server says while it ends is of no interest
                logger.warning("servers: %s", line.rstrip())

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
