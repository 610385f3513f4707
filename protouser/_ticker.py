"""The seconds of a test: each ends a slice of the time line, and wakes who looks once a second."""

from __future__ import annotations

import gevent

from protouser._call import now
from protouser._session import Session

__all__ = ["Ticker"]


class Ticker:
    """Cuts the slices of a session, from ``start`` to ``stop``."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Begin with the next second of the test."""
        self.stop()
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """End; what is measured after that belongs to the last slice."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
            self._greenlet = None

    def _run(self) -> None:
        session = self._session
        while True:
            until = session.began + int(session.seconds) + 1
            while (left := until - now()) > 0:
                gevent.sleep(left)
            session.cut()
            for look in list(session.each_second):
                try:
                    look()
                except Exception as error:  # noqa: BLE001  the others look all the same
                    session.complain_once(look, getattr(look, "__qualname__", repr(look)), error)
