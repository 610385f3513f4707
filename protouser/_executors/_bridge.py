"""The way from native threads to the gevent hub.

Waking a hub costs a system call and a turn of its loop. A ``Bridge`` therefore queues what native
threads post and wakes the hub once for everything queued until it comes round. ``post`` takes no
lock: the deque is atomic, and the order of the steps makes a lost wake-up impossible. A poster
appends before it looks at the flag, the hub clears the flag before it looks at the queue; so
whoever saw the flag set appended before the hub looked.

gevent ends a loop that nothing can wake any more and throws ``LoopExit`` at the main greenlet. It
does not know that a native thread still works, so the bridge's watcher counts as a reason to live
while, and only while, somebody waits.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from gevent import get_hub
from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub, Waiter

from protouser._call import now
from protouser._executors._native import ThreadLocal, forget_in_child

__all__ = ["Bridge", "Handover", "leave_thread"]

_LONGEST_TURN = 0.005  # as gevent's own switch interval: then timers and sockets have their turn


class _Here(ThreadLocal):
    """What belongs to the current native thread."""

    bridge: Bridge | None = None


_here = _Here()


class Bridge:
    """Hands functions from any native thread to one hub, in order and in batches.

    ``with bridge.waiting():`` keeps the hub's loop alive for as long as its body waits.
    """

    __slots__ = ("__weakref__", "_posted", "_signalled", "_waiting", "_watcher", "hub")

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._posted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._signalled = False
        self._waiting = 0
        self._watcher: Any = hub.loop.async_(ref=False)
        self._watcher.start(self._run_posted)
        forget_in_child(self)

    @classmethod
    def of_hub(cls) -> Bridge:
        """Return the bridge to the calling thread's hub; made at the first call."""
        bridge = _here.bridge
        if bridge is None or bridge.hub is not get_hub():
            bridge = _here.bridge = cls(get_hub())
        return bridge

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have ``function(*args)`` called in the hub; it must not block. From any thread."""
        self._posted.append((function, args))
        if not self._signalled:
            self._signalled = True
            try:
                self._watcher.send()
            except ValueError:  # the hub is destroyed, and with it all who could have waited
                self._posted.clear()

    def waiting(self) -> Bridge:
        """Return a context manager in which the hub's loop does not end; greenlets nest them."""
        return self

    def __enter__(self) -> None:
        self._waiting += 1
        if self._waiting == 1:
            self._watcher.ref = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._watcher.ref = False

    def _run_posted(self) -> None:
        self._signalled = False
        posted = self._posted
        limit = now() + _LONGEST_TURN
        for _ in range(len(posted)):  # what is posted meanwhile comes after the hub's other work
            function, args = posted.popleft()
            try:
                function(*args)
            except BaseException:  # noqa: BLE001 - one bad function must not cost the others
                self.hub.handle_error(function, *sys.exc_info())
            if now() > limit:
                self._watcher.send()
                return

    def forget(self) -> None:
        """Drop what was posted, in a child process: those who posted it stayed behind."""
        self._posted.clear()
        self._signalled = False

    def close(self) -> None:
        """Let go of the hub."""
        self._watcher.stop()
        self._watcher.close()


class Handover:
    """One value on its way from a native thread to the greenlet that made the handover.

    The first value given counts. The greenlet may be thrown out of ``take`` and take again.
    """

    __slots__ = ("_bridge", "_waiter")

    def __init__(self) -> None:
        self._bridge = Bridge.of_hub()
        self._waiter: Waiter[Any] = Waiter(self._bridge.hub)

    def give(self, value: object) -> None:
        """Hand the value over; from any thread, never blocks."""
        self._bridge.post(self._land, value)

    def take(self) -> Any:
        """Return the value; only the calling greenlet waits."""
        with self._bridge.waiting():
            return self._waiter.get()

    def _land(self, value: object) -> None:
        if not self._waiter.ready():
            self._waiter.switch(value)


def leave_thread() -> None:
    """End the hub that gevent made for the calling native thread, if it made one.

    A native thread that runs patched code, a ``time.sleep`` say, gets a hub of its own.
    """
    bridge = _here.bridge
    if bridge is not None:
        bridge.close()
    hub = get_hub_if_exists()
    if hub is not None:
        hub.destroy(destroy_loop=True)
