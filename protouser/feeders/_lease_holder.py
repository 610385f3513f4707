"""A worker's side of leased rows: pure state, without sockets and clocks.

There is one question under way at a time. It is repeated as it was until its answer comes; when the
test stops it is given up, and what it was answered never was received.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from protouser.feeders._supply import Record

__all__ = ["LeaseHolder"]

_FEWEST: Final = 10
_MOST: Final = 1000
_RESEND: Final = 2.0


class LeaseHolder:
    """The leased rows of one feeder.

    Attributes:
        ready: rows that nobody has yet, in the order of their leases.
        state: what the last answer said: "rows", "wait" or "end"; "" before it.
    """

    def __init__(self, sequence: int, ahead: bool) -> None:
        self.ready: deque[Record] = deque()
        self.state = ""
        self.sequence = sequence
        self._ahead = ahead
        self._epoch: int | None = None
        self._leases: dict[int, list[int]] = {}  # lease: [rows, used]
        self._returned: list[Record] = []
        self._question: dict[str, Any] | None = None
        self._asked = 0.0
        self._valid = 0.0
        self._ttl = 0.0
        self._taken = 0
        self._stopped = False

    def pop(self) -> Record:
        """The next row; IndexError where there is none."""
        record = self.ready.popleft()
        self._taken += 1
        for held in self._leases.values():
            if held[1] < held[0]:
                held[1] += 1
                break
        return record

    def expired(self, moment: float) -> bool:
        """True when rows that are here may have gone to somebody else; they are let go of."""
        if not self._ttl or moment <= self._valid:
            return False
        self.ready.clear()
        return True

    def give_back(self, records: list[Record]) -> None:
        """Rows for somebody else; the next question takes them along."""
        self._returned.extend(records)

    def wants(self, moment: float, waiting: int) -> bool:
        """Whether there is something to ask."""
        if self._stopped or self._question is not None:
            return False
        renew = bool(self._ttl and self._leases) and moment > self._asked + self._ttl / 3
        return bool(self._returned) or renew or self._missing(moment, waiting) > 0

    def question(self, moment: float, waiting: int) -> dict[str, Any]:
        """What to ask now; the same again while there is no answer."""
        if self._question is None:
            self._begin(moment, self._missing(moment, waiting), released=self.expired(moment))
        assert self._question is not None
        return self._question

    def overdue(self, moment: float) -> bool:
        """True when the question should be repeated."""
        return self._question is not None and moment > self._sent + _RESEND

    def sent(self, moment: float) -> None:
        """The question went out."""
        self._sent = moment

    def answer(self, answer: dict[str, Any]) -> bool:
        """Take an answer; False for one to another question."""
        question = self._question
        if question is None or answer["seq"] != question["seq"]:
            return False
        self._question = None
        for lease, used, released in question["holds"]:
            if released or used == self._leases[lease][0]:
                del self._leases[lease]
        self._epoch, self.state = answer["epoch"], answer["state"]
        self._ttl = answer["ttl"]
        self._valid = self._asked + self._ttl
        if answer["rows"]:
            self._leases[answer["lease"]] = [len(answer["rows"]), 0]
            self.ready.extend((number, values) for number, values in answer["rows"])
        return True

    def stop(self, moment: float) -> dict[str, Any]:
        """The last question: everything that is not used goes back."""
        self._stopped = True
        self._question = None
        self.ready.clear()
        self._begin(moment, 0, released=True)
        assert self._question is not None
        return self._question

    _sent = 0.0

    def _begin(self, moment: float, want: int, released: bool) -> None:
        self.sequence += 1
        self._question = {
            "seq": self.sequence,
            "epoch": self._epoch,
            "want": want,
            "holds": [[lease, used, released] for lease, (_, used) in self._leases.items()],
            "returned": self._returned,
        }
        self._returned = []
        self._asked = moment
        self._taken = 0

    def _missing(self, moment: float, waiting: int) -> int:
        """How many rows to ask for: those of the next second or so, or one for each who waits."""
        if not self._ahead:
            return max(0, waiting - len(self.ready))
        rate = self._taken / max(0.01, moment - self._asked) if self._asked else 0.0
        target = round(min(_MOST, max(_FEWEST, waiting, rate)))
        return target if len(self.ready) <= target // 2 and (waiting or self.state == "rows") else 0
