"""A timer that wakes the event loop at a moment of ``now()``, to a few hundredths of a millisecond.

The event loop's own timers are those of epoll, in whole milliseconds: 0.6 ms late in the middle.
Linux has timers that are descriptors; one of those is 0.05 ms late and costs the same (measured in
benchmarks/arrival.py). Elsewhere the loop's timer is used: kqueue counts in nanoseconds.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any, Final

import gevent

from protouser._call import now

__all__ = ["Timer"]

_CLOCK_MONOTONIC: Final = 1  # what now() reads on Linux
_ABSOLUTE: Final = 1
_READ: Final = 1


class Timer:
    """Calls a function in the hub when a moment has come; one moment at a time.

    Nothing is open before ``at`` was called, nor after ``close``.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._descriptor: int | None = None
        self._watcher: Any = None

    def at(self, moment: float) -> None:
        """Call the function at this moment; at once where it has passed. Forgets the one before."""
        if _LIBRARY is None:
            self._use_loop(moment)
            return
        if self._descriptor is None:
            self._open()
        nanoseconds = max(1, int(moment * 1e9))
        _SETTING.value.seconds, _SETTING.value.nanoseconds = divmod(nanoseconds, 1_000_000_000)
        setting = ctypes.byref(_SETTING)
        if _LIBRARY.timerfd_settime(self._descriptor, _ABSOLUTE, setting, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """Forget the moment and give everything back."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
            watcher.close()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> None:
        assert _LIBRARY is not None
        descriptor = _LIBRARY.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._descriptor = descriptor
        self._watcher = gevent.get_hub().loop.io(descriptor, _READ)
        self._watcher.start(self._expired)

    def _expired(self) -> None:
        assert self._descriptor is not None
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return  # it was set anew meanwhile
        self._function()

    def _use_loop(self, moment: float) -> None:
        self.close()
        loop = gevent.get_hub().loop
        loop.update_now()
        self._watcher = loop.timer(max(0.0, moment - now()))
        self._watcher.start(self._function)


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


_SETTING: Final = _Setting()
_LIBRARY: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
