"""Calls that warm something up: caches, connections, just-in-time compilers."""

from __future__ import annotations

import re
from typing import Final

from protouser._call import now
from protouser._errors import ConfigurationError
from protouser._figures import SERVICE, WARM_UP, Figures, Key
from protouser._histogram import Histogram

__all__ = ["WarmUp"]

_CALLS: Final = re.compile(r"\s*(\d+)\s*calls?\s*")
_SECONDS: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m)?\s*")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}


class WarmUp:
    """The first seconds, or the first calls, of one user; from when it is connected."""

    __slots__ = ("_calls", "_until")

    def __init__(self, said: float | str) -> None:
        """Begin now.

        Raises:
            ConfigurationError: it is neither a number of seconds, nor like "10s" or "20 calls".
        """
        calls, seconds = _CALLS.fullmatch(str(said)), _SECONDS.fullmatch(str(said))
        if not (calls or seconds):
            raise ConfigurationError(
                f'warm_up = {said!r}: it is seconds, as in 10 or "10s", or calls, as in "20 calls"'
            )
        self._calls = int(calls[1]) if calls else 0
        self._until = now() + float(seconds[1]) * _UNITS[seconds[2]] if seconds else 0.0

    def figures(self, figures: Figures, start: float) -> Figures:
        """Where a call that started at a ``now()`` value and has ended now is to be counted."""
        self._calls -= 1
        return _OnlyCounted(figures) if self._calls >= 0 or start < self._until else figures


class _OnlyCounted(Figures):
    """Counts the call as one that warmed up, and forgets how long it took."""

    def __init__(self, figures: Figures) -> None:
        super().__init__()
        self._figures = figures

    def histogram(self, key: Key) -> Histogram:
        if key[2] == SERVICE:
            self._figures.count(key[0], key[1], WARM_UP)
        return Histogram()

    def count(self, type_: str, name: str, outcome: str) -> None:
        self._figures.count(type_, name, WARM_UP)
