"""Messages that have arrived, in order, and the greenlets that wait for them.

The engine delivers from its hub callback, and a waiting greenlet is switched to right there: no
queue, no event, no second turn of the loop between the bytes and the user's code. A message that
nobody waits for is kept; above ``limit`` the source is asked to stop reading, which the peer feels
as back-pressure, so a user who never reads does not fill the memory.

Deadlines cost no timer per wait. One timer per inbox runs towards the earliest deadline it knew
when it was started and is left running when that wait is over; when it fires, it looks at the
clock, ends who is overdue and starts again for the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gevent import get_hub

from protouser._call import now
from protouser._errors import CallTimeout, ConnectionLost
from protouser._waiting import Waiter

__all__ = ["Expected", "Inbox"]

Message = TypeVar("Message")
Match = Callable[[Message], object]

_NEVER = float("inf")
_OVERDUE = CallTimeout("overdue")  # a sign for get, which knows how long that was


class Inbox(Generic[Message]):
    """A first-in, first-out inbox of ``(message, time of arrival)`` for the greenlets of one hub.

    Args:
        limit: how many messages may be kept before the source is paused.
        on_full: called when ``limit`` is reached; the source should stop delivering.
        on_drained: called when half of them are read; the source may go on.
    """

    def __init__(
        self,
        limit: int = 10_000,
        on_full: Callable[[], object] | None = None,
        on_drained: Callable[[], object] | None = None,
    ) -> None:
        self._hub = get_hub()
        self._kept: deque[tuple[Message, float]] = deque()
        self._waiters: deque[_Reader[Message]] = deque()
        self._end: BaseException | None = None
        self._limit = limit
        self._on_full = on_full
        self._on_drained = on_drained
        self._full = False
        self._timer: Any = None
        self._timer_at = 0.0

    def __len__(self) -> int:
        """How many messages are kept and nobody has read."""
        return len(self._kept)

    @property
    def ended(self) -> bool:
        """True after ``end`` or ``fail``."""
        return self._end is not None

    def deliver(self, message: Message, at: float) -> None:
        """Give a message that arrived at ``at`` to the first who waits, or keep it.

        Called in the hub it runs that greenlet's code before it returns. After the end the message
        is dropped.
        """
        if self._waiters and self._offer(message, at):
            return
        if self._end is None:
            self._kept.append((message, at))
            # who waits for one message must not be cut off from it by the others
            if len(self._kept) >= self._limit and not self._full and not self._waiters:
                self._full = True
                if self._on_full is not None:
                    self._on_full()

    def get(
        self,
        timeout: float | None = None,
        since: float | None = None,
        awaited: str = "message",
        *,
        match: Match[Message] | None = None,
        after: float | None = None,
    ) -> tuple[Message, float, bool]:
        """The next message, the ``now()`` at which it arrived, and whether it was waited for.

        Args:
            timeout: seconds, counted from ``since`` or from this call; None waits for ever.
            since: a ``now()`` value.
            awaited: what the error of a timeout calls the message.
            match: takes only a message for which this is true; others stay for other readers. It
                runs in the hub, where it must not block; what it raises is raised here.
            after: takes only a message that arrived at this ``now()`` value or later.

        Raises:
            CallTimeout: none came in time.
            ConnectionLost: or what ``fail`` and ``end`` were given.
        """
        if self._kept:
            place = 0 if match is None and after is None else self._find_kept(match, after)
            if place is not None:
                return self._take_kept(place)
        reader = self._enlist(match, after)
        if timeout is not None:
            reader.deadline = (now() if since is None else since) + timeout
        self._wait(reader)
        if reader.error is None:
            return reader.message, reader.at, True
        raise _refusal(reader.error, awaited, timeout)

    def expect(self, *, match: Match[Message] | None, after: float) -> Expected[Message]:
        """Ask for a message that arrives at ``after`` or later, and wait for it at leisure."""
        return Expected(self, self._enlist(match, after))

    def end(self, error: BaseException | None = None) -> None:
        """No more will come: who waits gets ``error`` at once, what is kept can still be read."""
        if self._end is not None:
            return
        self._end = error or ConnectionLost("the connection has ended")
        self._stop_timer()
        while self._waiters:
            self._refuse(self._waiters.popleft(), self._end)

    def fail(self, error: BaseException) -> None:
        """No more will come and what is kept is of no use: everybody gets ``error``."""
        self._kept.clear()
        self.end(error)

    def _enlist(self, match: Match[Message] | None, after: float | None) -> _Reader[Message]:
        if self._end is not None:
            raise self._end.with_traceback(None)
        if self._full:
            self._drained()
        reader: _Reader[Message] = _Reader(self._hub)
        reader.match = match
        if after is not None:
            reader.after = after
        self._waiters.append(reader)
        return reader

    def _wait(self, reader: _Reader[Message]) -> None:
        deadline = reader.deadline
        if deadline < _NEVER and (self._timer is None or deadline < self._timer_at):
            self._start_timer(deadline)
        try:
            reader.wait()
        except BaseException:
            self._leave(reader)
            raise

    def _offer(self, message: Message, at: float) -> bool:
        """Give a message to the first reader who takes it; True when there was one."""
        first = self._waiters[0]
        if first.match is None and at >= first.after:  # as nearly always
            self._waiters.popleft()
            first.answer(message, at)
            return True
        for reader in tuple(self._waiters):
            try:
                taken = at >= reader.after and (reader.match is None or reader.match(message))
            except Exception as error:  # noqa: BLE001  the user's predicate: his call fails by it
                self._waiters.remove(reader)
                self._refuse(reader, error)
                return bool(self._waiters) and self._offer(message, at)
            if taken:
                self._waiters.remove(reader)
                reader.answer(message, at)
                return True
        return False

    def _find_kept(self, match: Match[Message] | None, after: float | None) -> int | None:
        if after is not None and self._kept[-1][1] < after:
            return None
        for place, (message, at) in enumerate(self._kept):
            if (after is None or at >= after) and (match is None or match(message)):
                return place
        return None

    def _take_kept(self, place: int) -> tuple[Message, float, bool]:
        if place == 0:
            message, at = self._kept.popleft()
        else:
            message, at = self._kept[place]
            del self._kept[place]
        if self._full and len(self._kept) <= self._limit // 2:
            self._drained()
        return message, at, False

    def _drained(self) -> None:
        self._full = False
        if self._on_drained is not None:
            self._on_drained()

    def _refuse(self, reader: _Reader[Message], error: BaseException) -> None:
        reader.error = error
        reader.wake()

    def _leave(self, reader: _Reader[Message]) -> None:
        """A reader was killed: nothing may be lost to it."""
        if not reader.done:
            self._waiters.remove(reader)
        elif reader.error is None and not (
            self._waiters and self._offer(reader.message, reader.at)
        ):
            self._kept.appendleft((reader.message, reader.at))

    def _start_timer(self, deadline: float) -> None:
        self._stop_timer()
        self._timer_at = deadline
        self._timer = self._hub.loop.timer(max(0.0, deadline - now()))
        # the loop's own clock may be old by the length of a callback
        self._timer.start(self._end_overdue, update=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _end_overdue(self) -> None:
        self._stop_timer()
        at = now()
        for reader in [reader for reader in self._waiters if reader.deadline <= at]:
            if not reader.done and reader in self._waiters:
                self._waiters.remove(reader)
                self._refuse(reader, _OVERDUE)
        earliest = min((reader.deadline for reader in self._waiters), default=_NEVER)
        if earliest < _NEVER and (self._timer is None or earliest < self._timer_at):
            self._start_timer(earliest)


class Expected(Generic[Message]):
    """A message that was asked for, and may have come already."""

    def __init__(self, inbox: Inbox[Message], reader: _Reader[Message]) -> None:
        self._inbox = inbox
        self._reader = reader

    def wait(self, timeout: float | None, since: float, awaited: str) -> tuple[Message, float]:
        """The message and the ``now()`` at which it came; as ``Inbox.get``, and once only."""
        reader = self._reader
        if not reader.done:
            if timeout is not None:
                reader.deadline = since + timeout
            self._inbox._wait(reader)
        if reader.error is None:
            return reader.message, reader.at
        raise _refusal(reader.error, awaited, timeout)

    def cancel(self) -> None:
        """It is not wanted any more; if it has come it is kept for others."""
        self._inbox._leave(self._reader)


class _Reader(Waiter, Generic[Message]):
    """One ``get``: who waits, until when, and what it got."""

    message: Message
    at: float
    match: Match[Message] | None = None
    after = -_NEVER
    deadline = _NEVER
    error: BaseException | None = None

    def answer(self, message: Message, at: float) -> None:
        """This is what was waited for."""
        self.message = message
        self.at = at
        self.wake()


def _refusal(error: BaseException, awaited: str, timeout: float | None) -> BaseException:
    if error is _OVERDUE:
        return CallTimeout(f"no {awaited} within {timeout:g} s")
    return error.with_traceback(None)
