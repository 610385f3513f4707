"""What tasks and other code of users raised outside of any call, told under the summary.

Such an exception is in no row: without these lines a run can end with exit code 1 below a table in
which nothing failed.
"""

from __future__ import annotations

import locust
from locust.env import Environment

import os
import re
from collections.abc import Iterator
from pathlib import Path

import gevent

from protouser._secrets import masked

__all__ = ["exception_lines"]

_MOST = 5
_WIDTH = 160
_FRAME = re.compile(r'^  File "(.+)", line (\d+), in (.+)$', re.MULTILINE)
_OURS = tuple(
    f"{Path(str(file)).parent}{os.sep}" for file in (locust.__file__, gevent.__file__, __file__)
)


def exception_lines(environment: Environment) -> Iterator[str]:
    """How often something was raised, and where; the most frequent first, and nothing for none."""
    runner = environment.runner
    raised = sorted(
        runner.exceptions.values() if runner is not None else (), key=lambda row: -row["count"]
    )
    if not raised:
        return
    total = sum(row["count"] for row in raised)
    yield f"Exceptions: {total:,}, raised outside of any call and in no row above"
    for row in raised[:_MOST]:
        message = " ".join(masked(row["msg"]).split())[:_WIDTH]
        yield f"  {row['count']:,} x {message}{_place(row['traceback'])}"
    if len(raised) > _MOST:
        rest = sum(row["count"] for row in raised[_MOST:])
        yield f"  {rest:,} more, of {len(raised) - _MOST} other kinds"
    yield ""


def _place(traceback: str) -> str:
    """The outermost line that is a tester's: what Locust and protouser called."""
    for path, line, function in _FRAME.findall(traceback):
        if not path.startswith(_OURS):
            return f"  [{Path(path).name}:{line} in {function}]"
    return ""
