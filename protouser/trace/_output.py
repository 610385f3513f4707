"""Where traces go: a file of the master, over the wire on a worker, the terminal of one user."""

from __future__ import annotations

from locust import debug
from locust.env import Environment
from locust.runners import WorkerRunner
from locust.stats import console_logger

import contextlib
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

from protouser._errors import ConfigurationError
from protouser._options import Option, option
from protouser.trace._selection import Selection, checked
from protouser.trace._trace import Trace
from protouser.trace._view import in_colours, view

if TYPE_CHECKING:
    from protouser._session import Session

__all__ = ["TRACE", "TRACE_FILE", "TRACE_LIMIT", "Tracing"]

logger = logging.getLogger(__name__)

_FIELD: Final = "protouser-trace"
_LEFT_OUT: Final = "protouser-trace-left-out"
_DEFAULT_FILE: Final = "protouser-trace.jsonl"
_DEFAULT_LIMIT: Final = 20
_MOST_WAITING: Final = 2_000


def _file(path: str) -> str:
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise ConfigurationError(f"{path!r} cannot be written; name a file in a folder of yours")
    return path


def _number(text: str) -> str:
    if not text.isdecimal() or not int(text):
        raise ConfigurationError(f"{text!r} is no whole number above 0")
    return text


TRACE: Final = Option(
    "trace",
    "Write what calls sent and received: failures, all, user=NUMBER, name=GLOB, or several of them"
    " with commas between.",
    metavar="WHAT",
    check=checked,
)
TRACE_FILE: Final = Option(
    "trace-file",
    f"Where to; {_DEFAULT_FILE} where not given. Read it with: protouser trace FILE",
    metavar="FILE",
    check=_file,
)
TRACE_LIMIT: Final = Option(
    "trace-limit",
    f"How many calls of one name and reason are written; {_DEFAULT_LIMIT} where not given.",
    metavar="N",
    check=_number,
)


class Tracing:
    """The traces of one environment, from the start of each test to its end."""

    def __init__(self, session: Session, environment: Environment) -> None:
        self._session = session
        self._environment = environment
        self._waiting: list[str] = []
        self._file: TextIO | None = None
        self._path = ""
        self._written = 0
        self._left_out = 0

    def listen(self) -> None:
        """Listen to the events that carry traces; after those that report the last calls."""
        events = self._environment.events
        events.test_start.add_listener(self._start)
        events.report_to_master.add_listener(self._send)
        events.worker_report.add_listener(self._take)
        events.test_stop.add_listener(self._stop)
        events.quit.add_listener(self._tell)

    def _start(self, **_event: Any) -> None:
        environment = self._environment
        self._close()
        self._written, self._left_out, self._waiting = 0, 0, []
        what = option(environment, TRACE)
        alone = debug._env is environment
        if what is None and not alone:
            self._session.trace_with(None)
            return
        limit = int(option(environment, TRACE_LIMIT) or _DEFAULT_LIMIT)
        sink, first = self._write, True
        if alone:
            sink, limit = _print, sys.maxsize
        elif isinstance(environment.runner, WorkerRunner):
            sink, first = self._keep, environment.runner.worker_index == 0
        else:
            self._path = option(environment, TRACE_FILE) or _DEFAULT_FILE
            self._file = open(self._path, "w", encoding="utf-8")  # noqa: SIM115  closed at the end
        self._session.trace_with(Trace(Selection.parse(what or "all"), sink, limit, first))

    def _write(self, record: dict[str, Any]) -> None:
        self._write_line(_line_of(record))

    def _write_line(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(f"{line}\n")
            self._file.flush()
            self._written += 1
        except OSError as error:
            text = "%s could not be written: %s; there will be no more traces"
            logger.error(text, self._path, error.strerror or error)
            self._close()
            self._session.trace_with(None)

    def _keep(self, record: dict[str, Any]) -> None:
        runner = self._environment.runner
        assert isinstance(runner, WorkerRunner)
        if len(self._waiting) >= _MOST_WAITING:
            self._left_out += 1
            return
        self._waiting.append(_line_of({**record, "worker": runner.client_id}))

    def _send(self, client_id: str, data: dict[str, Any], **_event: Any) -> None:
        self._count_left_out()
        if self._waiting:
            data[_FIELD], self._waiting = self._waiting, []
        if self._left_out:
            data[_LEFT_OUT], self._left_out = self._left_out, 0

    def _take(self, client_id: str, data: dict[str, Any], **_event: Any) -> None:
        for line in data.get(_FIELD, ()):
            self._write_line(line)
        self._left_out += data.get(_LEFT_OUT, 0)

    def _count_left_out(self) -> None:
        trace = self._session.trace
        if trace is not None:
            self._left_out += trace.left_out
            trace.left_out = 0

    def _stop(self, **_event: Any) -> None:
        self._count_left_out()
        self._session.trace_with(None)

    def _tell(self, exit_code: int, **_event: Any) -> None:
        if self._file is not None:
            read = f"; read them with: protouser trace {self._path}" if self._written else ""
            console_logger.info(
                f"protouser: {self._written:,} traces in {self._path}{read}{self._others()}"
            )
        self._close()

    def _others(self) -> str:
        if not self._left_out:
            return ""
        return (
            f"\nprotouser: {self._left_out:,} more of the same names and reasons were left out;"
            f" {TRACE_LIMIT.flag} says how many of each are kept"
        )

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # what was said when it could not be written
                file.close()


def _line_of(record: dict[str, Any]) -> str:
    line = json.dumps(record, ensure_ascii=False)
    return line.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair, in JSON too


def _print(record: dict[str, Any]) -> None:
    sys.stdout.write(f"{view(record, in_colours(sys.stdout))}\n")
    sys.stdout.flush()
