"""Rows at hand on a worker, leased from the master by messages of Locust's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from gevent.event import Event

from protouser._call import now
from protouser._errors import ConfigurationError
from protouser.feeders._lease_holder import LeaseHolder
from protouser.feeders._row import Row, RowMaker
from protouser.feeders._stock import END, READY, WAIT
from protouser.feeders._supply import Record

__all__ = ["LeasedStock"]

#: A question that was sent so often without any answer, every two seconds, is not answered.
_TRIES: Final = 15


class LeasedStock:
    """The stock of a feeder whose rows are the whole test's; ``send`` takes a question."""

    slow = True
    wraps = 0  # the master reads the data, and counts them

    def __init__(
        self,
        name: str,
        holder: LeaseHolder,
        maker: RowMaker,
        send: Callable[[dict[str, Any]], None],
    ) -> None:
        self.holder = holder
        self.ready: deque[Any] = holder.ready
        self.changed = Event()
        self.waiting = 0
        self.names: tuple[str, ...] | None = None
        self._name = name
        self._maker = maker
        # a value that cannot be converted is the trouble of who uses the row, not of who reads it
        self.makes_rows = not maker.converts
        self._send = send

    @property
    def popped(self) -> int:
        """As the holder counts them."""
        return self.holder.used

    @property
    def silent(self) -> bool:
        """True when the master has not answered for too long."""
        return self.holder.tries >= _TRIES

    @property
    def settled(self) -> bool:
        """True once the master has heard of everything, after the end."""
        return self.holder.stopped and not self.holder.asking

    def pop(self) -> Any:
        """The next row; more are asked for before the last one is gone."""
        holder, ready = self.holder, self.ready
        if holder.fenced:
            holder.expired(now())  # what ran out is not there any more
        record = ready.popleft()
        if len(ready) <= holder.low and not holder.asking:
            self.keep_up(0)
        return record

    def row(self, popped: Any) -> Row:
        """What is here is a row, unless there are values to convert."""
        return popped if self.makes_rows else self._maker.one(self.names, *popped)

    def fill(self) -> str:
        """Ask the master, unless it said that there is nothing more.

        Raises:
            ConfigurationError: the master does not answer.
        """
        holder = self.holder
        if self.ready and not holder.expired(now()):
            return READY
        if holder.state == "end":
            holder.state = "wait"  # who asks after the end may be lucky: rows may have come back
            return END
        if self.silent:
            raise ConfigurationError(
                f"feeder {self._name!r}: the master does not answer; it has to be there, and to run"
                " a locustfile that imports protouser and declares this feeder"
            )
        self.changed.clear()
        self.keep_up(self.waiting + 1)
        return WAIT

    def keep_up(self, waiting: int) -> None:
        """Ask, or ask again, if it is time."""
        moment, holder = now(), self.holder
        if holder.wants(moment, waiting) or holder.overdue(moment):
            question = holder.question(moment, waiting)
            holder.sent(moment)
            self._send(question)

    def take_answer(self, answer: dict[str, Any]) -> None:
        """Rows, or word that there are none."""
        if not self.holder.answers(answer):
            return
        # an answer that took long renews nothing that ran out before it came
        self.holder.expired(now())
        names = answer["names"]
        self.names = None if names is None else tuple(names)
        if self.makes_rows:
            answer = {**answer, "rows": self._maker.many(self.names, answer["rows"])}
        self.holder.answer(answer)
        self.changed.set()

    def recall(self, epoch: int) -> None:
        """Somebody else waits for rows that nobody uses here."""
        self.holder.recall(epoch)
        self.keep_up(0)

    def give_back(self, popped: list[Any]) -> None:
        """Rows for somebody else, on any worker."""
        self.holder.give_back([self._record(each) for each in popped])
        self.keep_up(0)

    def close(self) -> None:
        """The test has stopped: what is not used goes back."""
        question = self.holder.stop(now())
        self.holder.sent(now())
        self._send(question)
        self.changed.set()

    def _record(self, popped: Any) -> Record:
        """What came over the wire for it."""
        if not self.makes_rows:
            number, values = popped
            return number, values
        values = [*popped] if self.names is not None else dict(popped)
        return popped.number, values
