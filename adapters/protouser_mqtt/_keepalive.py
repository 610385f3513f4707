"""Looking after an open connection: has anything been heard, or is a ping due?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protouser import now
from protouser_mqtt._schedule import Entry, Schedule

__all__ = ["Keepalive"]

#: Looks at a connection per keepalive: a broker waits one and a half keepalives for a word.
_LOOKS: Final = 4


class Keepalive:
    """Looks again and again, until it is stopped; not at all before ``start``.

    Args:
        look: is called to look; true where the connection goes on.

    Attributes:
        seconds: what was agreed upon; 0 where nothing was.
    """

    __slots__ = ("_entry", "_look", "seconds")

    def __init__(self, look: Callable[[], bool]) -> None:
        self.seconds = 0
        self._look = look
        self._entry: Entry | None = None

    @property
    def runs(self) -> bool:
        """True while it will look again."""
        return self._entry is not None

    def start(self, seconds: int) -> None:
        """Look for the first time in a part of these seconds."""
        self.seconds = seconds
        if seconds:
            self._look_later()

    def stop(self) -> None:
        """Look no more."""
        entry, self._entry = self._entry, None
        if entry is not None:
            Schedule.of_hub().cancel(entry)

    def _look_later(self) -> None:
        self._entry = Schedule.of_hub().call_at(now() + self.seconds / _LOOKS, self._look_now)

    def _look_now(self) -> None:
        self._entry = None
        if self._look():
            self._look_later()
