"""When the next attempt to connect may be made: later and later, as long as they are in vain."""

from __future__ import annotations

import random
from typing import Final

from protouser import now
from protouser_mqtt._connection import Connection

__all__ = ["Backoff"]

_LONGEST: Final = 30.0
_MOST_DOUBLINGS: Final = 16


class Backoff:
    """The attempts in a row that failed.

    Attributes:
        first: seconds before the second attempt, at most; doubled for each further one.
        failed: how many there were.
    """

    __slots__ = ("_again_at", "_judged", "_was_vain", "failed", "first")

    def __init__(self, first: float) -> None:
        self.first = first
        self.failed = 0
        self._again_at = 0.0
        self._judged: Connection | None = None
        self._was_vain = False

    @property
    def pause(self) -> float:
        """Seconds until the next attempt may be made; 0 or less where it may be made now."""
        return self._again_at - now()

    def fail(self) -> None:
        """An attempt has failed: the next one is to come later, and not at the same time as all."""
        longest = min(self.first * 2.0 ** min(self.failed, _MOST_DOUBLINGS), _LONGEST)
        self.failed += 1
        self._again_at = now() + longest * random.uniform(0.5, 1)

    def forget(self) -> None:
        """The next attempt is the first one."""
        self.failed = 0

    def judge(self, connection: Connection) -> None:
        """An open connection was lost; once for each.

        A broker that takes clients and drops them at once, again and again, is as good as none. The
        first time may have been its restart.
        """
        if connection is self._judged:
            return
        self._judged = connection
        was_vain = self._was_vain
        self._was_vain = not connection.served and now() - connection.opened_at < _LONGEST
        if not self._was_vain:
            self.forget()
        elif was_vain:
            self.fail()
