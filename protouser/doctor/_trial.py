"""A few seconds of real work by one user of each class: what blocks, fails, or does nothing."""

from __future__ import annotations

from locust import User

import inspect
import logging
import os
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import gevent

from protouser._watchdog import Block, Watchdog, is_library
from protouser.doctor._finding import FINE, PROBLEM, WARNING, Finding
from protouser.doctor._options import options_of_a_run
from protouser.testing import Results, load

__all__ = ["trial"]

_THREAD: Final = (
    'run what waits in a thread, self.timed(..., run="thread"), and what computes in more processes'
)
_LOOK: Final = "is the server as the test expects it?"
_MOST_FAILURES: Final = 5


def trial(
    user_classes: Sequence[type[User]], host: str | None, seconds: float
) -> Iterator[Finding]:
    """Run one user of each class, and say what a watchdog and the results show."""
    blocks: list[Block] = []
    watchdog = Watchdog(blocks.append)
    options = options_of_a_run()
    inspect.stack()  # the first time it blocks; Locust's start of a test asks for it, and no tester
    with _silence():
        watchdog.start()
        try:
            results = load(
                *user_classes,
                users=len(user_classes),
                seconds=seconds,
                host=host,
                options=options,
            )
        finally:
            watchdog.stop()
    for block in blocks:
        yield Finding(WARNING, "blocking", block.advice().partition("; every user")[0], _THREAD)
    yield from _outcome(results, seconds)


def _outcome(results: Results, seconds: float) -> Iterator[Finding]:
    errors = Counter(
        f"{type(error).__name__}: {error}{_place_of(error)}" for error in results.errors
    )
    for text, times in errors.items():
        yield Finding(PROBLEM, "tasks", f"{text} ({_times(times)})", "mend the locustfile")
    failed = Counter(
        (str(report.request_type), str(report.name), str(report.exception))
        for report in results.reports
        if report.exception is not None
    )
    for (type_, name, reason), count in failed.most_common(_MOST_FAILURES):
        yield Finding(WARNING, "calls", f"{type_} {name} failed {_times(count)}: {reason}", _LOOK)
    if not results.reports:
        text = f"no call was made in {seconds:g} s"
        yield Finding(WARNING, "calls", text, "does the wait time leave room for one?")
    elif not failed and not errors:
        yield Finding(
            FINE, "calls", f"{len(results.reports):,} calls in {seconds:g} s, none failed"
        )


def _place_of(error: BaseException) -> str:
    """The innermost line that is neither a library's nor ours."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not is_library(frame.filename):
            return f" at {os.path.basename(frame.filename)}:{frame.lineno}, in {frame.name}"
    return ""


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


@contextmanager
def _silence() -> Iterator[None]:
    """What is found is told once, here, and not in the log or by gevent as well."""
    hub = gevent.get_hub()
    told = hub.NOT_ERROR
    logging.disable(logging.CRITICAL)
    hub.NOT_ERROR = (*told, Exception)
    try:
        yield
    finally:
        hub.NOT_ERROR = told
        logging.disable(logging.NOTSET)
