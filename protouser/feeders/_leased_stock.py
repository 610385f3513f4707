"""Rows at hand on a worker, leased from the master by messages of Locust's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.event import Event

from protouser._call import now
from protouser.feeders._lease_holder import LeaseHolder
from protouser.feeders._row import Row, RowMaker
from protouser.feeders._stock import END, READY, WAIT
from protouser.feeders._supply import Record

__all__ = ["LeasedStock"]


class LeasedStock:
    """The stock of a feeder whose rows are the whole test's; ``send`` takes a question."""

    wraps = 0  # the master reads the data, and counts them

    def __init__(
        self, holder: LeaseHolder, maker: RowMaker, send: Callable[[dict[str, Any]], None]
    ) -> None:
        self.holder = holder
        self.changed = Event()
        self.names: tuple[str, ...] | None = None
        self.popped = 0
        self._maker = maker
        self._send = send

    @property
    def ready(self) -> deque[Record]:
        """Rows that may be used; those of a lease that ran out may not."""
        self.holder.expired(now())
        return self.holder.ready

    def pop(self) -> Record:
        """The next row; more are asked for before the last one is gone."""
        record = self.holder.pop()
        self.popped += 1
        self.keep_up(0)
        return record

    def row(self, popped: Record) -> Row:
        """Made when it is used: rows that are here may have to go back as they came."""
        return self._maker.one(self.names, *popped)

    def fill(self) -> str:
        """Ask the master, unless it said that there is nothing more."""
        if self.ready:
            return READY
        if self.holder.state == "end":
            self.holder.state = (
                "wait"  # who asks after the end may be lucky: rows may have come back
            )
            return END
        self.changed.clear()
        self.keep_up(1)
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
        if self.holder.answer(answer):
            names = answer["names"]
            self.names = None if names is None else tuple(names)
            self.changed.set()

    def give_back(self, records: list[Record]) -> None:
        """Rows for somebody else, on any worker."""
        self.holder.give_back(records)
        self.keep_up(0)

    def close(self) -> None:
        """The test has stopped: what is not used goes back."""
        self._send(self.holder.stop(now()))
        self.changed.set()
