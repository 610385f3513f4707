"""Who may start the next task: users take turns, in the order in which they became free.

A user asks before each task and waits in Locust's state "waiting", in which it can be stopped at
once. A slot is given away when it is due and not before, so that a user that is stopped while it
waits takes nothing with it.
"""

from __future__ import annotations

from locust.exception import StopUser

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Protocol

import gevent

from protouser._call import now
from protouser._schedule._arrival_rate import DROP, SLIP
from protouser._schedule._plan import Positions
from protouser._schedule._results import DROPPED, LATE, STARTED, UNSTARTED
from protouser._schedule._timer import Timer
from protouser._schedule._timetable import Epoch, Timetable
from protouser._waiting import Waiter

__all__ = ["Allowance", "Slot", "SlotTurns", "Turns"]

#: A slot for which no user was free counts as late when it starts later than this, in seconds.
_LATE = 0.001


class Slot:
    """A task's place in the schedule, once a user has it.

    Attributes:
        due: when it is due, as ``now()`` counts.
        behind: by how much it was overdue when a user became free for it; 0 if one was waiting.
    """

    __slots__ = ("behind", "due")

    def __init__(self, due: float, behind: float = 0.0) -> None:
        self.due = due
        self.behind = behind


class Turns(Protocol):
    """What decides when a user may start its next task.

    Attributes:
        over: there will be no more turns.
        used: how many were taken of those that the leader grants.
    """

    over: bool
    used: int

    def take(self) -> Slot | None:
        """Wait for a turn; the slot where there are slots.

        Raises:
            StopUser: there will be none any more.
        """

    def settle(self, users: int) -> None:
        """Do what is to be done now and then, with so many users there."""

    def close(self) -> None:
        """No more turns in this test."""


class _Turn(Waiter):
    slot: Slot | None = None
    granted = False


class _Queue(deque[_Turn]):
    """Users that wait, first come first served."""

    def wait(self, turn: _Turn) -> Slot | None:
        try:
            turn.wait()
        finally:
            if not turn.done:
                self.remove(turn)
        if not turn.granted:
            raise StopUser
        return turn.slot

    def join(self) -> _Turn:
        turn = _Turn(gevent.get_hub())
        self.append(turn)
        return turn

    def grant(self, slot: Slot | None = None) -> None:
        turn = self.popleft()
        turn.slot, turn.granted = slot, True
        turn.wake()

    def send_home(self) -> None:
        while self:
            self.popleft().wake()


class SlotTurns:
    """Turns by a timetable: a user waits until a slot is due.

    ``count`` is told what becomes of every slot.
    """

    used = 0

    def __init__(self, timetable: Timetable, late: str, count: Callable[[str], None]) -> None:
        self.over = False
        self._timetable = timetable
        self._late = late
        self._count = count
        self._queue = _Queue()
        self._timer = Timer(self._hand_out)
        self._set_to = inf
        self._zero = inf
        self._shift = 0.0
        self._first = 0  # of the slots that are not decided yet
        self._slot = 0
        self._due = inf
        self._closed = False

    def set_clock(self, zero: float) -> None:
        """When the schedule's clock began; messages tell it too late, so the earliest holds."""
        self._zero = min(zero, self._zero)

    def add(self, epoch: Epoch, positions: Positions) -> None:
        """From a position on, slots are due and shared anew."""
        self._timetable.add(epoch, positions)
        self._look_ahead()
        self._set_timer()

    def take(self) -> Slot | None:
        if self._closed:
            raise StopUser
        if not self._queue:
            at = now()
            self._drop_until(at)
            if self._due <= at:
                return self._overdue(at)
        if self.over:
            raise StopUser
        turn = self._queue.join()
        self._set_timer()
        return self._queue.wait(turn)

    def settle(self, users: int) -> None:
        if not self._queue and not self._closed:
            self._drop_until(now())

    def close(self) -> None:
        if self._closed:
            return
        self.settle(0)
        self._closed = True
        self._timer.close()
        at = now()
        while self._due < at:
            self._advance()
            self._count(UNSTARTED)
            if self._late == SLIP:
                break  # those behind it would have moved on

    def _drop_until(self, at: float) -> None:
        while self._late == DROP and self._due < at:
            self._advance()
            self._count(DROPPED)

    def _overdue(self, at: float) -> Slot:
        slot = Slot(self._due, at - self._due)
        if self._late == SLIP:
            self._shift += slot.behind
            slot = Slot(at)
        elif slot.behind > _LATE:
            self._count(LATE)
        self._count(STARTED)
        self._advance()
        return slot

    def _hand_out(self) -> None:
        """In the hub: whoever is switched to runs until it waits for something."""
        self._set_to = inf
        while self._queue and not self.over and self._due <= now():
            slot = Slot(self._due)
            self._count(STARTED)
            self._advance()
            self._queue.grant(slot)
        if self.over:
            self._queue.send_home()
        self._set_timer()

    def _advance(self) -> None:
        self._first = self._slot + 1
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Find the next own slot; those passed over before may have changed owners."""
        found = self._timetable.next_from(self._first)
        self.over = found is None
        self._slot, due = found or (self._first, inf)
        self._due = self._zero + due + self._shift

    def _set_timer(self) -> None:
        moment = 0.0 if self.over else self._due
        if self._queue and not self._closed and moment != self._set_to and moment < inf:
            self._set_to = moment
            self._timer.at(moment)


class Allowance:
    """Turns by number: so many in the whole test, handed over in batches.

    ``ask`` is called with how many are wanted; they come by ``grant``, now or later.
    """

    def __init__(self, ask: Callable[[int], None], count: Callable[[str], None]) -> None:
        self.over = False
        self.used = 0
        self._ask = ask
        self._count = count
        self._queue = _Queue()
        self._stock = 0
        self._asked = False
        self._asked_at = now()
        self._used_then = 0
        self._users = 1
        self._closed = False

    def grant(self, number: int, over: bool) -> None:
        """So many turns more, or the word that there will be none."""
        self._stock += number
        self._asked = False
        self.over = over and not self._stock
        while self._stock and self._queue:
            self._stock -= 1
            self._queue.grant()
        if self.over:
            self._queue.send_home()

    def take(self) -> Slot | None:
        if not self._stock:
            self._get_more()
        if self._closed or (self.over and not self._stock):
            raise StopUser
        if self._stock and not self._queue:
            self._stock -= 1
        else:
            self._wait()
        self.used += 1
        self._count(STARTED)
        return None

    def settle(self, users: int) -> None:
        """Ask again where users wait; what nobody is there for goes back."""
        self._users = users
        if self._queue:
            self._get_more()
        elif not users and self._stock:
            self._stock, stock = 0, self._stock
            self._ask(-stock)

    def close(self) -> None:
        self._closed = True
        self._queue.send_home()

    def _wait(self) -> None:
        turn = self._queue.join()
        try:
            self._queue.wait(turn)
        except BaseException:
            if turn.granted:
                self._stock += 1  # stopped before it could use it
            raise

    def _get_more(self) -> None:
        """Ask for what the users here need in about a second."""
        if self._asked or self.over or self._closed:
            return
        at = now()
        per_second = (self.used - self._used_then) / max(at - self._asked_at, 0.01)
        self._asked, self._asked_at, self._used_then = True, at, self.used
        self._ask(max(self._users, int(per_second), 1))
