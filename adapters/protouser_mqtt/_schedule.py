"""What is due later, of all connections of a process: one heap, one timer.

Keepalives and deadlines of thousands of connections would be thousands of timers, each of them
started and stopped for a message. What is due is called in gevent's hub and must not block.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from gevent import get_hub
from gevent.hub import Hub

from protouser import now

__all__ = ["Entry", "Schedule"]

_NEVER: Final = float("inf")


class Entry:
    """Something that is due at a ``now()`` value; ``action`` is None when it was cancelled."""

    __slots__ = ("action", "when")

    def __init__(self, when: float, action: Callable[[], object]) -> None:
        self.when = when
        self.action: Callable[[], object] | None = action

    def __lt__(self, other: Entry) -> bool:
        return self.when < other.when


class Schedule:
    """The entries of one hub; no timer exists while there are none."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._entries: list[Entry] = []
        self._timer: Any = None
        self._timer_at = _NEVER

    @classmethod
    def of_hub(cls) -> Schedule:
        """The schedule of this thread's hub in this process, made on first use."""
        hub, pid = get_hub(), os.getpid()
        owner, schedule = _schedules.get(hub, (0, None))
        if schedule is None or owner != pid:
            schedule = cls(hub)
            _schedules[hub] = (pid, schedule)
        return schedule

    def __len__(self) -> int:
        """How many entries are waiting, cancelled ones among them."""
        return len(self._entries)

    def call_at(self, when: float, action: Callable[[], object]) -> Entry:
        """Have ``action`` called in the hub at a ``now()`` value."""
        entry = Entry(when, action)
        heapq.heappush(self._entries, entry)
        self._set_timer()
        return entry

    def cancel(self, entry: Entry) -> None:
        """Forget an entry; one that was called already is forgotten anyway."""
        entry.action = None
        self._set_timer()

    def _set_timer(self) -> None:
        """Have the timer run towards the first entry that is still wanted."""
        entries = self._entries
        while entries and entries[0].action is None:
            heapq.heappop(entries)
        first = entries[0].when if entries else _NEVER
        if first == self._timer_at:
            return
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        self._timer_at = first
        if entries:
            self._timer = self._hub.loop.timer(max(0.0, first - now()))
            # the loop's own clock may be old by the length of a callback
            self._timer.start(self._due, update=True)

    def _due(self) -> None:
        self._timer.close()
        self._timer, self._timer_at = None, _NEVER
        at, entries = now(), self._entries
        while entries and entries[0].when <= at:
            action, entries[0].action = entries[0].action, None
            heapq.heappop(entries)
            if action is not None:
                self._call(action)
        self._set_timer()

    def _call(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  the others are due all the same
            self._hub.handle_error(self, type(error), error, error.__traceback__)


_schedules: WeakKeyDictionary[Hub, tuple[int, Schedule]] = WeakKeyDictionary()
