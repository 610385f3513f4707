"""Who waits on a connection: each greenlet for one reply, until a deadline or the end.

A reply that comes in the hub switches straight to the greenlet that waits for it. Deadlines cost no
timer per wait: one entry of the schedule runs towards the earliest deadline and is left running
when that wait is over; when it is due it ends who is overdue and is set anew for the rest.
"""

from __future__ import annotations

from typing import Any, Final

from gevent import get_hub
from gevent.hub import Hub, Waiter
from greenlet import getcurrent

from protouser import now
from protouser_mqtt._schedule import Entry, Schedule

__all__ = ["Overdue", "Replies", "Reply", "Unsent"]

_NEVER: Final = float("inf")


class Overdue(Exception):
    """A reply did not come by its deadline; whoever waited says what it was in words."""


class Unsent(Overdue):
    """What should be answered could not even be sent by the deadline: the peer does not read."""


class Reply:
    """One thing that one greenlet waits for.

    Attributes:
        key: what the connection knows it by, such as a packet identifier.
        value: what came.
        at: the ``now()`` at which it came.
    """

    __slots__ = ("_hub", "_waiter", "at", "deadline", "done", "error", "key", "value")

    def __init__(self, hub: Hub, key: int) -> None:
        self._hub = hub
        self.key = key
        self._waiter: Waiter[Any] = Waiter(hub)
        self.value: Any = None
        self.at = 0.0
        self.deadline = _NEVER
        self.error: BaseException | None = None
        self.done = False

    def set(self, value: Any, at: float) -> None:
        """It came; ``wake`` is still to be called."""
        if not self.done:
            self.done, self.value, self.at = True, value, at

    def fail(self, error: BaseException) -> None:
        """It will not come; wakes who waits."""
        if not self.done:
            self.done, self.error = True, error
            self.wake()

    def wake(self) -> None:
        """Let the greenlet that waits go on; in the hub it runs before this returns."""
        if getcurrent() is self._hub:
            self._waiter.switch(None)
        else:
            self._hub.loop.run_callback(self._waiter.switch, None)

    def get(self) -> None:
        """Give way until ``wake`` was called."""
        self._waiter.get()


class Replies:
    """The waits of one connection."""

    def __init__(self) -> None:
        self._hub = get_hub()
        self._schedule = Schedule.of_hub()
        self._waiting: dict[Reply, None] = {}
        self._check: Entry | None = None
        self._check_at = _NEVER
        self._end: BaseException | None = None

    def new(self, key: int = 0) -> Reply:
        """A reply to wait for."""
        return Reply(self._hub, key)

    def wait(self, reply: Reply, deadline: float | None) -> None:
        """Wait until a reply has come.

        Raises:
            Overdue: it has not by the deadline, a ``now()`` value.
            ConnectionLost: or what ``end`` was given.
        """
        if not reply.done:
            if self._end is not None:
                raise self._end.with_traceback(None)
            self._wait(reply, deadline)
        if reply.error is not None:
            raise reply.error.with_traceback(None)

    def end(self, error: BaseException) -> None:
        """No reply will come any more: who waits gets ``error``."""
        if self._end is not None:
            return
        self._end = error
        self._stop_checking()
        for reply in list(self._waiting):
            reply.fail(error)

    def _wait(self, reply: Reply, deadline: float | None) -> None:
        if deadline is not None:
            reply.deadline = deadline
            if deadline < self._check_at:
                self._check_from(deadline)
        self._waiting[reply] = None
        try:
            reply.get()
        finally:
            del self._waiting[reply]

    def _check_from(self, when: float) -> None:
        self._stop_checking()
        self._check_at = when
        self._check = self._schedule.call_at(when, self._end_overdue)

    def _stop_checking(self) -> None:
        self._check_at = _NEVER
        if self._check is not None:
            self._schedule.cancel(self._check)
            self._check = None

    def _end_overdue(self) -> None:
        self._stop_checking()
        at = now()
        for reply in [reply for reply in self._waiting if reply.deadline <= at]:
            reply.fail(Overdue())
        earliest = min((reply.deadline for reply in self._waiting), default=_NEVER)
        if earliest < self._check_at and self._end is None:
            self._check_from(earliest)
