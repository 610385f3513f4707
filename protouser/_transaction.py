"""Transactions: several calls under one name, as JMeter's transaction controller has them.

A transaction is a call of type "transaction": its time is what passes from the first line of its
block to the last, thinking and the tester's own code included; the time in its calls is its series
"calls". It fails when one of its calls does. Hooks are for the calls, not for what groups them.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from protouser._call import Call
from protouser._outcome import is_result

if TYPE_CHECKING:
    from protouser._user import ProtocolUser

__all__ = ["TRANSACTION", "Transaction", "counts_in_totals"]

TRANSACTION: Final = "transaction"
_CALLS: Final = "calls"


def counts_in_totals(type_: object) -> bool:
    """Whether calls of a type count where those of all rows are added up: not if it groups them."""
    return type_ != TRANSACTION


class Transaction:
    """A ``with`` block whose calls are one row; made by ``ProtocolUser.transaction``.

    Attributes:
        call: what is measured; ``call.failure(reason)`` decides about it in the block.
    """

    def __init__(self, user: ProtocolUser, name: str, context: dict[str, Any] | None) -> None:
        # hooks and the lateness of an iteration belong to the user's calls
        self.call = Call(user._session, TRANSACTION, name, None, context=context)
        self.call.user = user
        self._user = user
        self._outer: Transaction | None = None
        self._seconds = 0.0
        self._failed = ""

    def note(self, call: Call, seconds: float, failed: bool) -> None:
        """A call of its user has ended within it."""
        if call.type != TRANSACTION:
            self._seconds += seconds
        if failed and not self._failed:
            self._failed = f"{call.type} {call.name} failed"

    def __enter__(self) -> Self:
        self._outer, self._user._transaction = self._user._transaction, self
        self.call.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._user._transaction = self._outer
        if self._outer is not None:
            self._outer._seconds += self._seconds
        call = self.call
        call.stop()
        call.spend(_CALLS, self._seconds)
        if self._failed and call.outcome is None and (error is None or is_result(error)):
            # the failed call has told of the exception
            call.failure(self._failed)
            kind = error = traceback = None
        call.__exit__(kind, error, traceback)
