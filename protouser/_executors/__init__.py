"""Where calls run that must not run in gevent's hub thread.

``AsyncioExecutor`` awaits coroutines on a loop in a native thread, ``ThreadExecutor`` calls
blocking functions in a pool of native threads, ``PinnedExecutor`` keeps one thread for one object.
All make the calling greenlet wait, and only it.
"""

from __future__ import annotations

from protouser._executors._asyncio import AsyncioExecutor
from protouser._executors._bridge import Bridge
from protouser._executors._job import Executor, Stamp
from protouser._executors._loop import NativeLoop
from protouser._executors._native import forget_in_child, start_thread
from protouser._executors._threads import PinnedExecutor, ThreadExecutor

__all__ = [
    "AsyncioExecutor",
    "Bridge",
    "Executor",
    "NativeLoop",
    "PinnedExecutor",
    "Stamp",
    "ThreadExecutor",
    "forget_in_child",
    "start_thread",
]
