"""A timer that runs towards the earliest of many deadlines, and is left running when that is gone.

Deadlines then cost no timer per wait: who waits starts it only where it would go off too late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.hub import Hub

from protouser._call import now
from protouser._reader import NEVER

__all__ = ["Alarm"]


class Alarm:
    """Calls something in the hub, once.

    Attributes:
        at: the ``now()`` value at which it will; ``NEVER`` where it is not set.
    """

    __slots__ = ("_hub", "_timer", "at")

    def __init__(self, hub: Hub) -> None:
        self.at = NEVER
        self._hub = hub
        self._timer: Any = None

    def set(self, at: float, ring: Callable[[], object]) -> None:
        """Call ``ring`` at this time, and at no other."""
        self.stop()
        self.at = at
        self._timer = self._hub.loop.timer(max(0.0, at - now()))
        # the loop's own clock may be old by the length of a callback
        self._timer.start(self._go_off, ring, update=True)

    def stop(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None
            self.at = NEVER

    def _go_off(self, ring: Callable[[], object]) -> None:
        self.stop()
        ring()
