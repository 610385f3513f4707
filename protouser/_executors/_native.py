"""What gevent's monkey-patching hid: native threads, their queue, and what a fork does to them.

A native thread started here is nobody's: it is not joined when the interpreter ends, so one that
is stuck in a C library cannot keep the process.

A fork copies none of the native threads. Whoever owns some asks with ``forget_in_child`` to be
told in the child process, where he must drop them without touching what they share with the
parent: an epoll set, for one, is the same kernel object in both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from gevent import monkey

if TYPE_CHECKING:
    from queue import SimpleQueue
    from threading import local as ThreadLocal
else:
    ThreadLocal = monkey.get_original("_thread", "_local")

__all__ = [
    "NativeQueue",
    "ThreadLocal",
    "forget_in_child",
    "get_ident",
    "native_sleep",
    "start_thread",
]

get_ident: Callable[[], int] = monkey.get_original("_thread", "get_ident")
native_sleep: Callable[[float], None] = monkey.get_original("time", "sleep")
_start_new_thread: Callable[..., int] = monkey.get_original("_thread", "start_new_thread")
_native_queue = monkey.get_original("queue", "SimpleQueue")


def start_thread(function: Callable[..., object], *args: Any) -> int:
    """Run ``function(*args)`` in a new native thread and return the thread's identity."""
    return _start_new_thread(function, args)


def NativeQueue() -> SimpleQueue[Any]:
    """Return an unbounded queue whose ``get`` blocks the native thread, not the greenlet."""
    queue: SimpleQueue[Any] = _native_queue()
    return queue


class Forgetful(Protocol):
    """Owns native threads, and can drop them in a child process where they do not exist."""

    def forget(self) -> None:
        """Drop what belongs to the parent process, untouched."""


_forgetful: WeakSet[Forgetful] = WeakSet()


def forget_in_child(owner: Forgetful) -> None:
    """Have ``owner.forget()`` called in every child process, as long as the owner lives."""
    _forgetful.add(owner)


def _forget_all() -> None:
    for owner in list(_forgetful):
        owner.forget()


os.register_at_fork(after_in_child=_forget_all)
