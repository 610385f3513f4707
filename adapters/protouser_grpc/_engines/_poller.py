"""Getting grpc.aio started in a native thread of a monkey-patched process.

grpc.aio polls in a ``threading.Thread`` and wakes its loop through a ``socket.socketpair``, both
made by ``grpc.aio.init_grpc_aio``. Patched, the thread would be a greenlet of the thread that is
to be woken, and would block it for ever. So both names are exchanged for native ones for as long
as that function runs, in the module of grpc that looks them up. The names are private; a test
pins them, and where they are missing the other engine is used.
"""

from __future__ import annotations

import _socket
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from protouser import now
from protouser.native import native_sleep, start_thread
from protouser_grpc._engines._interface import EngineUnavailable
from protouser_grpc._engines._library import aio

__all__ = ["NativeThread", "check_private_names", "start_poller", "stop_poller"]

_NAMES = ("threading", "socket")
_LOOK_AGAIN = 0.001


class NativeThread:
    """As much of ``threading.Thread`` as grpc's poller uses, in a native thread.

    Attributes:
        ended: the thread has done what it was started for.
    """

    def __init__(self, target: Callable[[], object], daemon: bool = True) -> None:
        del daemon  # a native thread keeps no process alive
        self._target = target
        self.ended = False

    def start(self) -> None:
        """Start it."""
        start_thread(self._run)

    def join(self, timeout: float | None = None) -> None:
        """Block until it has ended."""
        limit = now() + (timeout if timeout is not None else 1e9)
        while not self.ended and now() < limit:
            native_sleep(_LOOK_AGAIN)

    def _run(self) -> None:
        try:
            self._target()
        finally:
            self.ended = True


class _Instead:
    """A module with some names exchanged."""

    def __init__(self, module: Any, **names: Any) -> None:
        self._module = module
        vars(self).update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def check_private_names() -> None:
    """Find what ``start_poller`` relies on.

    Raises:
        EngineUnavailable: this grpcio does not have it.
    """
    module = _cygrpc()
    for name in _NAMES:
        if not hasattr(module, name):
            raise EngineUnavailable(f"grpcio has no name {name!r} in grpc._cython.cygrpc any more")


def start_poller() -> NativeThread | None:
    """Initialize grpc.aio for the running loop; the poller's thread, if that was made now."""
    made: list[NativeThread] = []

    def thread(target: Callable[[], object], daemon: bool = True) -> NativeThread:
        made.append(NativeThread(target, daemon))
        return made[-1]

    with _exchanged(thread):
        aio.init_grpc_aio()
    return made[0] if made else None


def stop_poller() -> None:
    """Undo ``start_poller``."""
    aio.shutdown_grpc_aio()


@contextmanager
def _exchanged(thread: Callable[..., NativeThread]) -> Iterator[None]:
    module = _cygrpc()
    threading, socket = module.threading, module.socket
    module.threading = _Instead(threading, Thread=thread)
    module.socket = _Instead(socket, socketpair=_socket.socketpair)
    try:
        yield
    finally:
        module.threading, module.socket = threading, socket


def _cygrpc() -> Any:
    return importlib.import_module("grpc._cython.cygrpc")
