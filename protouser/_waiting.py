"""How a greenlet waits for one thing and is woken, without a queue or event object between.

From a hub callback the waiter is switched to directly, so it runs before the callback goes on.
From another greenlet it is scheduled: a direct switch would leave that greenlet behind for good.
A wake-up that somebody else causes is no answer, hence the loop on ``done``.
"""

from __future__ import annotations

from gevent.hub import Hub
from greenlet import getcurrent, greenlet

__all__ = ["Waiter"]


class Waiter:
    """One thing to wait for, and the greenlet that does. The hub itself never waits.

    Attributes:
        done: what was waited for has happened; set by ``wake``.
    """

    # a default of the class costs nothing per wait, and a wait happens per message
    done = False
    _greenlet: greenlet | None = None

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def wait(self) -> None:
        """Give way until ``wake`` was called; raises whatever is thrown into the greenlet."""
        self._greenlet = getcurrent()
        try:
            while not self.done:
                self._hub.switch()
        finally:
            self._greenlet = None

    def wake(self) -> None:
        """What was waited for has happened. In the hub, the waiter runs before this returns."""
        self.done = True
        if getcurrent() is not self._hub:
            self._hub.loop.run_callback(self._resume)
        elif self._greenlet is not None:
            self._greenlet.switch()

    def _resume(self) -> None:
        # a waiter that was killed meanwhile may wait for something else by now
        if self._greenlet is not None:
            self._greenlet.switch()
