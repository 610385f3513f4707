"""What a process holds that a client may forget to give back."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

import gevent
import psutil
from gevent.greenlet import Greenlet

from protouser._call import now

__all__ = ["Watch", "settles"]

_LOOK_AGAIN = 0.02


class Watch:
    """Sees which descriptors, greenlets and native threads there are more of than at its start."""

    def __init__(self) -> None:
        self._process: Any = psutil.Process()
        self._spawned: WeakSet[Greenlet[..., Any]] = WeakSet()
        self._note = self._spawned.add
        self._before = self._count()

    def __enter__(self) -> Self:
        Greenlet.add_spawn_callback(self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        Greenlet.remove_spawn_callback(self._note)

    def left(self, spare: int = 0, seconds: float = 0.0) -> str:
        """What there is more of, by more than ``spare``, after ``seconds`` to settle; or ""."""
        if self._more(spare):
            gc.collect()
            settles(lambda: not self._more(spare), seconds)
        return ", ".join(self._more(spare))

    def _more(self, spare: int) -> list[str]:
        names = ("descriptors", "greenlets", "native threads")
        rows = zip(names, self._before, self._count(), strict=True)
        return [f"{new - old} {name}" for name, old, new in rows if new - old > spare]

    def _count(self) -> tuple[int, int, int]:
        handles = self._process.num_handles if os.name == "nt" else self._process.num_fds
        running = sum(not greenlet.ready() for greenlet in list(self._spawned))
        return handles(), running, self._process.num_threads()


def settles(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition comes true within some seconds; other greenlets run meanwhile."""
    limit = now() + seconds
    while not condition():
        if now() > limit:
            return False
        gevent.sleep(_LOOK_AGAIN)
    return True
