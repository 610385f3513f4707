"""When a connection has been silent for so long: for framings whose messages end by that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent import get_hub

from protouser import now

__all__ = ["Silence"]


class Silence:
    """Calls ``on_silence`` in the hub, once nothing was heard for ``seconds``.

    One timer runs towards the earliest moment there can be; when it fires, it looks at the clock
    and starts again for what is left. So hearing something costs next to nothing.

    Attributes:
        since: when something was heard last, a ``now()`` value.
    """

    def __init__(self, seconds: float, on_silence: Callable[[], object]) -> None:
        self.since = 0.0
        self._seconds = seconds
        self._on_silence = on_silence
        self._deaf_until = 0.0
        self._certain = False
        self._closed = False
        self._timer: Any = None

    def heard(self, at: float) -> None:
        """Something came at ``at``, a ``now()`` value; the silence begins."""
        self.since = at
        self._certain = False
        if self._timer is None and not self._closed:
            self._start(self._seconds)

    def pause(self) -> None:
        """Nobody listens, so nothing can be said about silence."""
        self._stop()

    def resume(self) -> None:
        """Somebody listens again; the silence begins now, if any."""
        self._deaf_until = now()
        self._certain = False
        if self._timer is None and not self._closed and self.since:
            self._start(self._seconds)

    def close(self) -> None:
        """End it; safe to call twice."""
        self._closed = True
        self._stop()

    def _start(self, seconds: float) -> None:
        self._timer = get_hub().loop.timer(max(0.0, seconds))
        self._timer.start(self._look, update=True)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _look(self) -> None:
        self._stop()
        left = max(self.since, self._deaf_until) + self._seconds - now()
        if left > 0:
            self._start(left)
        elif not self._certain:
            # the loop may be late, and bytes lie in the socket: it reads before the next timer
            self._certain = True
            self._start(0.0)
        else:
            self._on_silence()
