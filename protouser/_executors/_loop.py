"""An asyncio loop that is at home in a native thread of a monkey-patched process.

The loop that ``asyncio.new_event_loop`` makes here waits through gevent: it starts a second hub in
its thread and pays for its turns, five times the latency of a small request. And it runs the
calls of its default executor in greenlets of that hub, where they block the loop and are not
always delivered (gevent issue 2213). This loop waits natively, and has native threads for
``asyncio.to_thread`` and for names.

Patched code in the loop's thread still gets a hub, made by gevent for the first patched socket.
It seldom has work: asyncio reads and writes sockets without waiting in them. But a library that
starts a ``threading.Thread`` really starts a greenlet in that hub, so the selector lets it have
its turns.
"""

from __future__ import annotations

import _socket
import asyncio
import select
import selectors
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from selectors import SelectorKey
from typing import Any, TypeVar

import gevent
from gevent import monkey
from gevent._hub_local import get_hub_if_exists

from protouser._executors._job import Outcome
from protouser._executors._threads import Crew, Work

__all__ = ["NativeLoop"]

T = TypeVar("T")

_GREENLETS_BUSY = 0.001
_GREENLETS_IDLE = 0.05
_HELPERS = 64

_native_socket: type[socket.socket] = monkey.get_original("socket", "socket")
_getaddrinfo: Callable[..., list[Any]] = monkey.get_original("socket", "getaddrinfo")
_getnameinfo: Callable[..., tuple[str, str]] = monkey.get_original("socket", "getnameinfo")


class NativeLoop(asyncio.SelectorEventLoop):
    """A selector loop whose waiting, default executor and name look-ups are native."""

    _ssock: socket.socket
    _csock: socket.socket
    _internal_fds: int
    _add_reader: Callable[..., object]
    _read_from_self: Callable[[], None]

    def __init__(self) -> None:
        super().__init__(_Selector())
        self._crew: Crew[_Help] = Crew(_HELPERS)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Call ``func(*args)`` in a native thread, unless an executor is named."""
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        future: asyncio.Future[T] = self.create_future()
        self._crew.add(_Help(self, future, func, args))
        return future

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Resolve a name in a native thread, by the system's own resolver."""
        return await self.run_in_executor(
            None, _getaddrinfo, host, port, family, type, proto, flags
        )

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Resolve an address in a native thread, by the system's own resolver."""
        return await self.run_in_executor(None, _getnameinfo, sockaddr, flags)

    def close(self) -> None:
        """Close the loop; helper threads end when they have done what they do."""
        self._crew.dismiss()
        super().close()

    def _make_self_pipe(self) -> None:
        # As in asyncio, but of native sockets: a patched one would need a hub in this thread.
        self._ssock, self._csock = _native_socketpair()
        self._internal_fds += 1
        self._add_reader(self._ssock.fileno(), self._read_from_self)


class _Help(Work):
    """A function that a coroutine has sent to a native thread."""

    __slots__ = ("_args", "_function", "_future", "_loop")

    def __init__(
        self,
        loop: NativeLoop,
        future: asyncio.Future[Any],
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        self._loop = loop
        self._future = future
        self._function = function
        self._args = args

    def run(self) -> Outcome:
        try:
            return self._function(*self._args), None
        except StopIteration as error:
            stop = RuntimeError("a function that ran in a thread raised StopIteration")
            stop.__cause__ = error
            return None, stop
        except BaseException as error:  # noqa: BLE001 - the coroutine that waits is to have it
            return None, error

    def give(self, outcome: Outcome, /) -> None:
        with suppress(RuntimeError):  # the loop is closed, and with it all who could have waited
            self._loop.call_soon_threadsafe(self._settle, outcome)

    def _settle(self, outcome: Outcome) -> None:
        value, error = outcome
        if self._future.done():
            return
        if error is None:
            self._future.set_result(value)
        else:
            self._future.set_exception(error)


class _Selector(selectors.BaseSelector):
    """Waits natively, but lets the greenlets of its thread run, if there are any."""

    def __init__(self) -> None:
        self._native = _native_selector()

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        hub = get_hub_if_exists()
        if hub is not None:
            # The native wait does not see that another thread wakes a greenlet: look in.
            longest = _GREENLETS_IDLE
            if hub.loop.activecnt:
                gevent.sleep(0)
                longest = _GREENLETS_BUSY
            timeout = longest if timeout is None else min(timeout, longest)
        return self._native.select(timeout)

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        return self._native.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> SelectorKey:
        return self._native.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        return self._native.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, SelectorKey]:
        return self._native.get_map()

    def close(self) -> None:
        self._native.close()


class _NativePoll(selectors.PollSelector):
    # gevent puts its own poll here. Its removal of kqueue cannot be undone in this way: the
    # class for kqueue looks the function up when it is called.
    _selector_cls = monkey.get_original("select", "poll")


def _native_selector() -> selectors.BaseSelector:
    """Return the best native selector there is: epoll, or else poll."""
    if hasattr(select, "EPOLLIN"):
        epoll: type[selectors.BaseSelector] = monkey.get_original("selectors", "EpollSelector")
        return epoll()
    return _NativePoll()


def _native_socketpair() -> tuple[socket.socket, socket.socket]:
    read, write = (_native_socket(fileno=end.detach()) for end in _socket.socketpair())
    read.setblocking(False)
    write.setblocking(False)
    return read, write
