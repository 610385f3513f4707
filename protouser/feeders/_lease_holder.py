"""A worker's side of leased rows: pure state, without sockets and clocks.

There is one question under way at a time. It is repeated as it was until its answer comes; when the
test stops it is given up, and what it was answered never was received.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from protouser.feeders._supply import Record

__all__ = ["LeaseHolder"]

_FEWEST: Final = 10
_MOST: Final = 1000
_RESEND: Final = 2.0


@dataclass(slots=True)
class _Held:
    """A lease: so many rows, used in their order; ``released`` when no more will be used."""

    count: int
    used: int = 0
    released: bool = False


class LeaseHolder:
    """The leased rows of one feeder.

    Attributes:
        ready: rows that nobody has yet, as the answers bring them and in the order of their leases;
            who uses one takes it from the left, where ``expired`` allows it.
        state: what the last answer said: "rows", "wait" or "end"; "" before it.
        sequence: the number of the last question.
        fenced: true where rows may be used for a time only.
        tries: how often the question under way was sent without any answer.
        asking: true while a question is under way.
        void: true once a test began of which this worker did not hear: users have rows of both.
        low: with so few rows ready it is time to ask for more.
    """

    def __init__(self, sequence: int, ahead: bool) -> None:
        self.ready: deque[Any] = deque()
        self.state = ""
        self.sequence = sequence
        self.tries = 0
        self.low = 0
        self.stopped = False
        self.void = False
        self.fenced = False
        self.asking = False
        self._ahead = ahead
        self._epoch: int | None = None
        self._leases: dict[int, _Held] = {}
        self._here = 0  # rows that were ready when the uses were counted
        self._taken = 0  # rows used since the last question
        self._used = 0  # and ever, without those since they were counted
        self._untold = False  # the master has to hear what is held here, and what no more
        self._returned: list[tuple[int, int, Any]] = []
        self._serial = 0
        self._question: dict[str, Any] | None = None
        self._asked = self._sent = self._valid = self._ttl = 0.0

    @property
    def used(self) -> int:
        """How many rows were taken so far."""
        return self._used + self._here - len(self.ready)

    def expired(self, moment: float) -> bool:
        """True when rows that are here may have gone to somebody else; they are let go of."""
        if not self._ttl or moment <= self._valid:
            return False
        self._let_go()
        return True

    def recall(self, epoch: int) -> None:
        """Somebody else waits: the next question names what is used here, and gives back the rest.

        It is asked also where nothing is held, since the master may think otherwise.
        """
        if epoch == self._epoch:
            self._let_go()
            self.state = "wait"
        self._untold = True

    def give_back(self, records: list[Record]) -> None:
        """Rows for somebody else; the next question takes them along."""
        if self.void:
            return  # they may be of the test before
        for number, values in records:
            self._serial += 1
            self._returned.append((self._serial, number, values))

    def wants(self, moment: float, waiting: int) -> bool:
        """Whether there is something to ask."""
        if self._question is not None:
            return False
        if self.stopped:
            return self._untold
        renew = bool(self._ttl and self._leases) and moment > self._asked + self._ttl / 3
        untold = self._untold or bool(self._returned)
        return untold or renew or self._missing(moment, waiting) > 0

    def question(self, moment: float, waiting: int) -> dict[str, Any]:
        """What to ask now; the same again while there is no answer."""
        if self._question is None:
            self.expired(moment)
            self._question = self._begin(moment, self._missing(moment, waiting))
        return self._question

    def overdue(self, moment: float) -> bool:
        """True when the question should be repeated."""
        return self._question is not None and moment > self._sent + _RESEND

    def sent(self, moment: float) -> None:
        """The question went out."""
        self._sent = moment
        self.tries += 1

    def answers(self, answer: dict[str, Any]) -> bool:
        """False for an answer to another question, and for word that it will come."""
        if self._question is None or answer["seq"] != self._question["seq"]:
            return False
        self.tries = 0
        return bool(answer["state"] != "busy")

    def answer(self, answer: dict[str, Any]) -> None:
        """Take an answer to the question under way."""
        question = self._question
        assert question is not None
        self._question = None
        self.asking = False
        if answer["state"] == "stale":
            self._forget()
            return
        for lease, used, released in question["holds"]:
            if released or used == self._leases[lease].count:
                del self._leases[lease]
        del self._returned[: len(question["returned"])]
        self._epoch, self.state, self._ttl = answer["epoch"], answer["state"], answer["ttl"]
        self.fenced = self._ttl > 0
        self._valid = self._asked + self._ttl
        if answer["rows"]:
            self._receive(answer["lease"], answer["rows"])

    def stop(self, moment: float) -> dict[str, Any]:
        """The last question: everything that is not used goes back."""
        self._let_go()
        self.stopped = True
        self.tries = 0
        self._question = self._begin(moment, 0)
        return self._question

    def _receive(self, lease: int, rows: list[Any]) -> None:
        self._count()
        self._leases[lease] = _Held(len(rows))
        self.ready.extend(rows)
        self._here = len(self.ready)
        self.low = self._here // 2

    def _count(self) -> None:
        """Charge the rows that were taken since to their leases, the oldest first."""
        taken = self._here - len(self.ready)
        self._here -= taken
        self._taken += taken
        self._used += taken
        for held in self._leases.values():
            if not taken:
                return
            if not held.released:
                here = min(taken, held.count - held.used)
                held.used += here
                taken -= here

    def _let_go(self) -> None:
        self._count()
        self.ready.clear()
        self._here = 0
        for held in self._leases.values():
            self._untold = self._untold or not held.released
            held.released = True

    def _forget(self) -> None:
        """The master knows nothing of what is here: it is of an earlier test."""
        self.ready.clear()
        self._leases.clear()
        self._returned.clear()
        self._here = 0
        self._untold = False
        self._epoch, self.state, self._ttl = None, "", 0.0
        self.fenced = False
        self.void = True

    def _begin(self, moment: float, want: int) -> dict[str, Any]:
        self._count()
        self.sequence += 1
        self._asked = moment
        self.asking = True
        self._taken = 0
        self._untold = False
        return {
            "seq": self.sequence,
            "epoch": self._epoch,
            "want": want,
            "holds": [[lease, held.used, held.released] for lease, held in self._leases.items()],
            "returned": [*self._returned],
            "last": self.stopped,
        }

    def _missing(self, moment: float, waiting: int) -> int:
        """How many rows to ask for: those of the next second or so, or one for each who waits."""
        here = len(self.ready)
        if not self._ahead:
            return max(0, min(_MOST, waiting - here))
        taken = self._taken + self._here - here
        rate = taken / max(0.01, moment - self._asked) if self._asked else 0.0
        target = round(min(_MOST, max(_FEWEST, waiting, rate)))
        return target if here <= target // 2 and (waiting or self.state == "rows") else 0
