"""Messages that have arrived, in order, and the greenlets that wait for them.

The engine delivers from its hub callback, and a waiting greenlet is switched to right there: no
queue, no event, no second turn of the loop between the bytes and the user's code. A message goes to
the request whose id it has, or else to the first who waits for such a one. What nobody waits for
is kept, dropped or reported, as ``unmatched`` says. Above ``limit`` the source is asked to stop
reading, which the peer feels as back-pressure, so a user who never reads does not fill the memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final, Generic, TypeVar

from gevent import get_hub

from protouser._alarm import Alarm
from protouser._call import now
from protouser._correlation import Tally
from protouser._correlations import Correlations
from protouser._errors import ConfigurationError, ConnectionLost
from protouser._expected import Expected
from protouser._reader import NEVER, OVERDUE, Match, Reader

__all__ = ["Inbox"]

Message = TypeVar("Message")

#: What can be done with a message that nobody waits for.
_POLICIES: Final = ("keep", "drop", "fail")
#: Who waits for one message must see the others pass; so many are kept for that at least.
_MOST_PASSED: Final = 10_000


class Inbox(Generic[Message]):
    """A first-in, first-out inbox of ``(message, time of arrival)`` for the greenlets of one hub.

    Args:
        limit: how many messages may be kept. Then the source is paused; where it cannot be, or
            somebody waits for a message behind them, what nobody wants is dropped and counted.
        on_full: called when ``limit`` is reached; the source should stop delivering.
        on_drained: called when half of them are read; the source may go on.

    Attributes:
        unmatched: "keep", "drop" or "fail": what is done with a message that nobody waits for.
        on_unmatched: called with such a message in the hub where that is "fail".
        tally: called with the name of a counter, and of the row that it is about: "dropped",
            "late replies", "duplicate replies".
        listener: called with each message and its time, before anybody gets it; True takes it.
        on_passed: set where the listener sees every message: what is kept beyond ``limit`` before
            anybody read is forgotten then, the oldest first, and the source never stops. Called
            with each, and its time.
        on_end: called with the error when no more will come.
    """

    def __init__(
        self,
        limit: int = 10_000,
        on_full: Callable[[], object] | None = None,
        on_drained: Callable[[], object] | None = None,
    ) -> None:
        self.unmatched = "keep"
        self.on_unmatched: Callable[[Message], object] = _nothing
        self.tally: Tally = _nothing
        self.listener: Callable[[Message, float], object] | None = None
        self.on_passed: Callable[[Message, float], object] | None = None
        self.on_end: Callable[[BaseException], object] | None = None
        self._hub = get_hub()
        self._kept: deque[tuple[Message, float]] = deque()
        self._waiters: deque[Reader[Message]] = deque()
        self._correlations: Correlations[Message] = Correlations()
        self._end: BaseException | None = None
        self._limit = limit
        self._on_full = on_full
        self._on_drained = on_drained
        self._full = False
        self._was_read = False
        self._passed = 0
        self._alarm = Alarm(self._hub)

    def __len__(self) -> int:
        """How many messages are kept and nobody has read."""
        return len(self._kept)

    @property
    def unread(self) -> int:
        """How many messages are kept, unless the listener that sees them is all who wants them."""
        return 0 if self.on_passed is not None and not self._was_read else len(self._kept)

    @property
    def ended(self) -> bool:
        """True after ``end`` or ``fail``."""
        return self._end is not None

    def configure(
        self,
        tally: Tally,
        unmatched: str = "keep",
        on_unmatched: Callable[[Message], object] | None = None,
        limit: int | None = None,
    ) -> None:
        """Say what becomes of messages that nobody waits for, and where that is counted.

        Raises:
            ConfigurationError: there is no such policy, or no such limit.
        """
        if unmatched not in _POLICIES:
            raise ConfigurationError(
                f"unmatched={unmatched!r}; there are {', '.join(map(repr, _POLICIES))}"
            )
        if limit is not None:
            if type(limit) is not int or limit < 1:
                raise ConfigurationError(f"buffer={limit!r} is no number of messages above 0")
            self._limit = limit
        self.tally = tally
        self.unmatched = unmatched
        if on_unmatched is not None:
            self.on_unmatched = on_unmatched

    def deliver(self, message: Message, at: float) -> None:
        """Give a message that arrived at ``at`` to who waits for it, or keep it.

        Called in the hub it runs that greenlet's code before it returns. After the end the message
        is dropped.
        """
        if self.listener is not None and self.listener(message, at):
            return
        if self._correlations.known and self._correlations.take(message, at):
            return
        if self._waiters and self._offer(message, at):
            return
        if self._end is None:
            self._put_by(message, at)

    def get(
        self,
        timeout: float | None = None,
        since: float | None = None,
        awaited: str = "message",
        *,
        match: Match | None = None,
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
        if after is None and not self._was_read:
            self._begin_to_read()
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
        raise reader.refusal(awaited, timeout)

    def expect(self, *, match: Match | None, after: float) -> Expected[Message]:
        """Ask for a message that arrives at ``after`` or later, and wait for it at leisure."""
        return Expected(self, self._enlist(match, after))

    def expect_in_order(self, matches: list[Match | None], after: float) -> list[Expected[Message]]:
        """Ask for messages that arrive one after the other; who has come makes way for the next."""
        first, *others = (self._reader(match) for match in matches)
        last = first
        for reader in others:
            last.following = last = reader
        first.after = after
        self._admit(first)
        return [Expected(self, reader) for reader in (first, *others)]

    def ask(
        self, identify: Callable[[Any], Any], number: Hashable, *, row: str, match: Match | None
    ) -> Expected[Message]:
        """Ask for the reply in which ``identify`` finds ``number``, and wait for it at leisure.

        ``row`` is what a late or a second reply is counted under.

        Raises:
            ConfigurationError: another request with this id is in flight.
        """
        if self._end is not None:
            raise self._end.with_traceback(None)
        reader = self._reader(match)
        reader.number, reader.row = number, row
        self._correlations.of(identify, self.tally).add(reader)
        return Expected(self, reader)

    def give_back(self, messages: list[tuple[Message, float]]) -> None:
        """These were read, in this order, and are of no use: they are the next to be read."""
        self._kept.extendleft(reversed(messages))

    def discard(self) -> int:
        """Forget what is kept; how many messages that are ``unread``."""
        unread = self.unread
        self._kept.clear()
        return unread

    def interrupt(self, error: BaseException) -> None:
        """Whoever waits now gets ``error``; what comes later is delivered as ever."""
        for reader in list(self._readers()):
            if not reader.done:
                self._dismiss(reader)
                reader.refuse(error)

    def end(self, error: BaseException | None = None) -> None:
        """No more will come: who waits gets ``error`` at once, what is kept can still be read."""
        if self._end is not None:
            return
        self._end = error or ConnectionLost("the connection has ended")
        self._alarm.stop()
        if self.on_end is not None:
            self.on_end(self._end)
        self.interrupt(self._end)

    def fail(self, error: BaseException) -> None:
        """No more will come and what is kept is of no use: everybody gets ``error``."""
        self._kept.clear()
        self.end(error)

    def reopen(self) -> None:
        """More will come after all, on another connection; what is kept stays."""
        self._end = None

    def _enlist(self, match: Match | None, after: float | None) -> Reader[Message]:
        if self._end is not None:
            raise self._end.with_traceback(None)
        reader: Reader[Message] = Reader(self._hub)
        if match is not None:
            reader.match = match
        if after is not None:
            reader.after = after
        self._waiters.append(reader)
        return reader

    def _reader(self, match: Match | None) -> Reader[Message]:
        reader: Reader[Message] = Reader(self._hub)
        reader.match = match
        return reader

    def _admit(self, reader: Reader[Message]) -> None:
        if self._end is not None:
            raise self._end.with_traceback(None)
        self._waiters.append(reader)

    def _wait(self, reader: Reader[Message]) -> None:
        if self._full:  # who waits for one message must not be cut off from it by the others
            self._drained()
        deadline = reader.deadline
        if deadline < self._alarm.at:
            self._alarm.set(deadline, self._end_overdue)
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
            if first.following is None:
                first.answer(message, at)
            else:
                self._hand(first, message, at)
            return True
        for reader in tuple(self._waiters):
            try:
                taken = at >= reader.after and (reader.match is None or reader.match(message))
            except BaseException as error:  # noqa: BLE001  the user's predicate: his call fails by it
                self._waiters.remove(reader)
                reader.refuse(error)
                return bool(self._waiters) and self._offer(message, at)
            if taken:
                self._waiters.remove(reader)
                if reader.following is None:
                    reader.answer(message, at)
                else:
                    self._hand(reader, message, at)
                return True
        return False

    def _hand(self, reader: Reader[Message], message: Message, at: float) -> None:
        following = reader.following
        if following is not None:
            following.after = at
            self._waiters.appendleft(following)
        reader.answer(message, at)

    def _put_by(self, message: Message, at: float) -> None:
        """Nobody waits for it."""
        kept = self._kept
        if self.unmatched != "keep":
            self.tally("dropped", None)
            if self.unmatched == "fail":
                self.on_unmatched(message)
        elif self.on_passed is not None and not self._was_read:
            kept.append((message, at))
            if len(kept) > self._limit:
                self._passed += 1
                self.on_passed(*kept.popleft())
        elif len(kept) < self._limit:
            kept.append((message, at))
            if len(kept) >= self._limit:
                self._fill()
        elif self._on_full is not None and (not self._awaited() or len(kept) < _MOST_PASSED):
            kept.append((message, at))  # what was read along with the last one, before the pause
            self._fill()
        else:
            self.tally("dropped", None)

    def _begin_to_read(self) -> None:
        """Somebody wants what is kept after all: from now on nothing is forgotten unsaid."""
        self._was_read = True
        if self._passed:
            self.tally("dropped", None, self._passed)

    def _fill(self) -> None:
        if not self._full and not self._awaited():
            self._full = True
            if self._on_full is not None:
                self._on_full()

    def _awaited(self) -> bool:
        """True while a greenlet waits, for whom the source has to go on."""
        return any(reader.waits for reader in self._readers())

    def _readers(self) -> Iterator[Reader[Message]]:
        yield from self._waiters
        yield from self._correlations.readers()

    def _find_kept(self, match: Match | None, after: float | None) -> int | None:
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

    def _dismiss(self, reader: Reader[Message]) -> None:
        """A reader that has nothing yet waits no more."""
        if reader.correlation is not None:
            reader.correlation.give_up(reader)
        elif reader in self._waiters:
            self._waiters.remove(reader)

    def _leave(self, reader: Reader[Message]) -> None:
        """Nobody reads what a reader got: nothing may be lost, nor a reply become another's."""
        if reader.left:
            return
        reader.left = True
        if not reader.done or reader.correlation is not None:
            self._dismiss(reader)
        elif reader.error is None and not (
            self._waiters and self._offer(reader.message, reader.at)
        ):
            self._kept.appendleft((reader.message, reader.at))

    def _end_overdue(self) -> None:
        at = now()
        for reader in [reader for reader in self._readers() if reader.deadline <= at]:
            if not reader.done:
                self._dismiss(reader)
                reader.refuse(OVERDUE)
        earliest = min((reader.deadline for reader in self._readers()), default=NEVER)
        if earliest < self._alarm.at:
            self._alarm.set(earliest, self._end_overdue)


def _nothing(*_told: object) -> None:
    """Nobody is to be told."""
