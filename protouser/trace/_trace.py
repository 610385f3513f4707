"""Picks calls, limits how many of a kind are kept, and passes their records on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from protouser._excerpt import text_of
from protouser.trace._record import record_of
from protouser.trace._selection import Selection

if TYPE_CHECKING:
    from protouser._call import Call
    from protouser._user import ProtocolUser

__all__ = ["Trace"]

#: Of all kinds together; a trace is to be read by people.
_MOST: Final = 100_000


class Trace:
    """Makes records of the calls that a selection picks.

    Args:
        selection: which calls.
        sink: what gets each record.
        limit: how many of one row, outcome and reason are kept; one user's steps are all kept.
        first: whether it is in the process whose users are meant by the number of one: in a
            distributed run the first worker.

    Attributes:
        kept: how many records were passed on.
        left_out: how many were beyond the limit.
    """

    def __init__(
        self,
        selection: Selection,
        sink: Callable[[dict[str, Any]], object],
        limit: int,
        first: bool = True,
    ) -> None:
        self.selection = selection
        self.kept = 0
        self.left_out = 0
        self._sink = sink
        self._limit = _MOST if selection.user is not None else limit
        self._nobody = selection.user is not None and not first
        self._numbers: WeakKeyDictionary[ProtocolUser, int] = WeakKeyDictionary()
        self._started = 0
        self._kinds: Counter[tuple[str, str, str, str]] = Counter()

    def welcome(self, user: ProtocolUser) -> None:
        """A user starts: it gets the next number."""
        self._started += 1
        self._numbers[user] = self._started

    def note(self, call: Call, outcome: str, reason: BaseException | None) -> None:
        """Record a finished call, if it is picked."""
        number = None if call.user is None else self._numbers.get(call.user)
        if self._nobody or not self.selection.picks(outcome, number, call.name):
            return
        if self.kept >= _MOST:
            self.left_out += 1
            return
        said = "" if reason is None else text_of(reason)
        kind = (str(call.type), str(call.name), outcome, said)
        self._kinds[kind] += 1
        if self._kinds[kind] > self._limit:
            self.left_out += 1
            return
        self.kept += 1
        self._sink(record_of(call, outcome, reason, number))
