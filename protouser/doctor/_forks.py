"""What importing a locustfile opens: ``--processes`` forks afterwards, and children share it.

Two processes that read one socket each get a part of its bytes; a thread, and the pollers of a gRPC
channel, do not exist in the child at all.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from protouser._client import ProtocolClient
from protouser._watchdog import is_library
from protouser.doctor._finding import FINE, PROBLEM, Finding

__all__ = ["Opened", "opened_by_import"]

_DESCRIPTORS: Final = "/dev/fd"
_REMEDY: Final = "open it in prepare(), connect() or on_start(), which run in the worker"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a process has open: sockets by descriptor, and native threads that Python knows."""

    sockets: frozenset[int]
    threads: frozenset[int]

    @classmethod
    def now(cls) -> Self:
        """Look at this process."""
        return cls(frozenset(_sockets()), frozenset(sys._current_frames()))


def opened_by_import(
    before: Opened, after: Opened, variables: Mapping[str, Any]
) -> Iterator[Finding]:
    """What the import of a file with these module variables has left open."""
    named = [(name, value) for name, value in _objects(variables) if _is_connection(value)]
    for name, value in named:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        text = f"{name} is a {kind}, opened on import: forked workers would share it"
        yield Finding(PROBLEM, "forks", text, _REMEDY)
    sockets = after.sockets - before.sockets - {_descriptor(value) for _, value in named}
    if sockets and not any(_descriptor(value) is None for _, value in named):
        text = f"the import opened {len(sockets)} socket(s): forked workers would share them"
        yield Finding(PROBLEM, "forks", text, _REMEDY)
    if threads := after.threads - before.threads:
        text = (
            f"the import started {len(threads)} thread(s), which forked workers do not have:"
            f" {', '.join(sorted(map(_work_of, threads)))}"
        )
        yield Finding(PROBLEM, "forks", text, _REMEDY.replace("open", "start"))
    if not named and not sockets and not threads:
        yield Finding(FINE, "forks", "the import opens nothing that forked workers would share")


def _work_of(thread: int) -> str:
    """The innermost line of a thread that is no library's; its innermost one where all are."""
    innermost = sys._current_frames().get(thread)
    frame = innermost
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    frame = frame or innermost
    if frame is None:
        return "one that has ended"
    return f"{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})"


def _sockets() -> Iterator[int]:
    if not os.path.isdir(_DESCRIPTORS):
        return
    for name in os.listdir(_DESCRIPTORS):
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                yield int(name)
        except OSError:  # the listing's own
            continue


def _objects(variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The module's variables, and those of the classes that it defines."""
    for name, value in variables.items():
        if name.startswith("__"):
            continue
        yield name, value
        if isinstance(value, type) and value.__module__ == variables.get("__name__"):
            yield from ((f"{name}.{inner}", each) for inner, each in vars(value).items())


def _is_connection(value: Any) -> bool:
    if isinstance(value, type):
        return False
    if isinstance(value, ProtocolClient) and value.user is None:
        return True
    module, name = type(value).__module__, type(value).__name__
    if module.partition(".")[0] == "grpc" and name.endswith("Channel"):
        return True
    descriptor = _descriptor(value)
    return descriptor is not None and descriptor in set(_sockets())


def _descriptor(value: Any) -> int | None:
    try:
        found = value.fileno()
    except Exception:  # noqa: BLE001  whatever a foreign object does with that name
        return None
    return found if isinstance(found, int) else None
