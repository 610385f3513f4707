"""How a tester's mistake in a locustfile is told: what is wrong, and the line, without a traceback.

Locust imports a locustfile and catches nothing, so Python ends the command with a traceback, of
which most lines are Locust's and ours. Python asks ``sys.excepthook`` to show it; ours writes the
text of an error that explains itself, and hands all others on to the hook that was there.
"""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Callable
from functools import partial
from types import FrameType, ModuleType, TracebackType
from typing import Any, Final

from protouser._errors import ConfigurationError
from protouser._near import did_you_mean
from protouser._whose import is_ours, is_testers

__all__ = ["place_of", "refusal", "tell_of_locustfiles"]

Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]

_COMMAND: Final = "locust.main"
_LOADER: Final = "locust.util.load_locustfile"
_COLLECTORS: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_MISCALLED: Final = re.compile(r"(?P<function>[\w.]+)\(\) (?P<what>.+)")
#: Python 3.13 has a guess of its own behind it.
_UNKNOWN: Final = re.compile(r"got an unexpected keyword argument '(?P<keyword>\w+)'(?:\. .*)?")


def tell_of_locustfiles() -> None:
    """Have the ``locust`` command tell such mistakes so; any other program is left alone."""
    if _COMMAND in sys.modules:
        sys.excepthook = partial(_show, sys.excepthook)


def refusal(error: BaseException) -> str | None:
    """What a mistake was, in words for who made it; None where only the traceback tells."""
    if isinstance(error, ConfigurationError):
        return str(error)
    cause = error.__cause__
    # Before Python 3.12, what a hook raises when it becomes part of a class is wrapped.
    wrapped = isinstance(error, RuntimeError) and "__set_name__" in str(error)
    if wrapped and isinstance(cause, ConfigurationError):
        return str(cause)
    return _miscall(error) if isinstance(error, TypeError) else None


def place_of(error: BaseException) -> str | None:
    """The innermost line of the tester's own that an error came from, as "file:line"."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if is_testers(frame.f_globals) and not frame.f_code.co_filename.startswith("<"):
            return f"{frame.f_code.co_filename}:{line}"
    return None


def _show(
    shown_before: Hook,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    text = refusal(error) if _came_from_loading(trace) else None
    place = place_of(error)
    if text is None or place is None:
        shown_before(kind, error, trace)
    else:
        sys.stderr.write(f"protouser: {text}\n  at {place}\n")


def _came_from_loading(trace: TracebackType | None) -> bool:
    frames = (frame for frame, _ in traceback.walk_tb(trace))
    return any(frame.f_globals.get("__name__") == _LOADER for frame in frames)


def _miscall(error: TypeError) -> str | None:
    """What is wrong with a call of ours that Python did not even begin."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    found = _MISCALLED.fullmatch(str(error))
    if found is None or not frames or not is_testers(frames[-1].f_globals):
        return None
    function = found["function"]
    called = _ours(function.partition(".")[0], frames[-1])
    if called is None:
        return None
    unknown = _UNKNOWN.fullmatch(found["what"])
    if unknown is None:
        return str(error)
    parameters = inspect.signature(called).parameters.values()
    names = [each.name for each in parameters if each.kind not in _COLLECTORS]
    hint = did_you_mean(unknown["keyword"], names)
    return f"{function}() has no option {unknown['keyword']!r}{hint}"


def _ours(name: str, frame: FrameType) -> Any:
    """What a line calls by a name, if it is ours; imported, or an attribute of a module."""
    modules = [each for each in frame.f_globals.values() if isinstance(each, ModuleType)]
    for scope in (frame.f_locals, frame.f_globals, *map(vars, modules)):
        found = scope.get(name)
        module = sys.modules.get(str(getattr(found, "__module__", "")))
        if callable(found) and module is not None and is_ours(vars(module)):
            return found
    return None
