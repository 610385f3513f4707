"""Long work on data: it lets others run, and says how far it is when it takes over a second."""

from __future__ import annotations

import logging
import sys
from typing import Final

import gevent

from protouser._call import now

__all__ = ["SLICE", "Progress"]

logger = logging.getLogger(__name__)

#: So many rows take a few milliseconds: no heartbeat and no other user is kept waiting for longer.
SLICE: Final = 2000

_PATIENCE = 1.0
_REDRAW = 0.1
_WIDTH = 30


class Progress:
    """A bar on a terminal's stderr; where there is no terminal, a line at the start and the end."""

    def __init__(self, work: str, whole: int) -> None:
        self._work = work
        self._whole = whole
        self._began = self._drawn = now()
        self._shown = False

    def at(self, part: int, rows: int) -> None:
        """So much of the whole is done; everybody else gets a turn."""
        gevent.sleep(0)
        moment = now()
        if moment - self._began < _PATIENCE or moment - self._drawn < _REDRAW:
            return
        self._drawn = moment
        if sys.stderr.isatty():
            share = min(1.0, part / max(1, self._whole))
            bar = "#" * round(share * _WIDTH)
            sys.stderr.write(f"\r{self._work} [{bar:<{_WIDTH}}] {share:4.0%}  {rows:,} rows ")
            sys.stderr.flush()
        elif not self._shown:
            logger.info("%s takes a moment: %s rows so far", self._work, f"{rows:,}")
        self._shown = True

    def end(self, rows: int) -> None:
        """All is done; said only if it took long enough to be noticed."""
        if not self._shown:
            return
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        logger.info("%s took %.1f s: %s rows", self._work, now() - self._began, f"{rows:,}")
