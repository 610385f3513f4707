"""Rows that Python makes one by one, which may take its time."""

from __future__ import annotations

from typing import Any

import gevent

from protouser._call import now
from protouser.feeders._stock import AT_ONCE, END, READY, WAIT, LocalStock

__all__ = ["ApartStock"]


class ApartStock(LocalStock):
    """Rows are made in a greenlet of its own.

    In that of the user who asked, the end of this user would be the end of a generator in the
    middle of its work, and so of the data, for everybody.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._reader: gevent.Greenlet[..., None] | None = None
        self._state = ""
        self._error: Exception | None = None

    def fill(self) -> str:
        """Have a row made; what came of it is told to who asks next."""
        if self.ready:
            return READY
        error, self._error = self._error, None
        if error is not None:
            raise error
        state, self._state = self._state, ""
        if state == END:
            return END
        if self._reader is None:
            self.changed.clear()
            self._reader = gevent.spawn(self._make)
        return WAIT

    def close(self) -> None:
        """Stop making rows."""
        if self._reader is not None:
            self._reader.kill(timeout=_PATIENCE)
        super().close()

    def _make(self) -> None:
        began = now()
        try:
            self._state = self._read()
        except Exception as error:  # noqa: BLE001  raised in a greenlet that asked
            self._error = error
        finally:
            self.slow = now() - began >= AT_ONCE
            self._reader = None
            self.changed.set()


_PATIENCE = 1.0
