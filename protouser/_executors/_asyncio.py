"""Coroutines of all users on one asyncio loop in one native thread.

One loop, not one per user: a loop's turn serves everything that is ready, and libraries such as
grpc.aio share one notification socket between loops and get in each other's way.

Calls go to the loop in batches with one wake-up each, as results come back over the bridge. The
times of a call are taken in the loop's thread, so that a busy hub does not make a server look slow.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from inspect import isawaitable
from typing import Any

import gevent
from gevent import GreenletExit

from protouser._call import now
from protouser._errors import ConfigurationError
from protouser._executors._bridge import leave_thread
from protouser._executors._job import Job, NativeExecutor
from protouser._executors._loop import NativeLoop
from protouser._executors._native import ThreadLocal, forget_in_child, start_thread
from protouser._outcome import STOPPED

__all__ = ["AsyncioExecutor"]

CLOSE_WITHIN = 1.0
CANCEL_WITHIN = 1.0
_LOOK_AGAIN = 0.002

_parents: list[LoopThread] = []  # loops of the parent process: never touched, never collected


class _Here(ThreadLocal):
    """Whose loop runs in the current native thread."""

    loop_of: object = None


_here = _Here()


class AsyncioExecutor(NativeExecutor):
    """Awaits coroutines on an asyncio loop of its own; plain functions are simply called there.

    It may be used again after ``close`` and in a child process, each time with a new loop.
    """

    name = "asyncio"

    def __init__(self) -> None:
        super().__init__()
        self._thread: LoopThread | None = None
        self._mark = object()
        forget_in_child(self)

    def in_loop(self) -> bool:
        """Return whether the calling code runs in the loop's thread, where it must not wait."""
        return _here.loop_of is self._mark

    def close(self) -> None:
        """Cancel what still runs and end the loop and its thread within a second."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.stop()
        limit = now() + CLOSE_WITHIN
        try:
            while not thread.ended and now() < limit:
                gevent.sleep(_LOOK_AGAIN)
        finally:
            self.abandoned += thread.release()

    def forget(self) -> None:
        """Start anew in a child process."""
        if self._thread is not None:
            _parents.append(self._thread)
            self._thread = None

    def _submit(self, job: Job) -> None:
        if self.in_loop():
            raise ConfigurationError(
                "a call made in the asyncio loop would wait for the loop itself; "
                "await the coroutine instead"
            )
        thread = self._thread
        if thread is None:
            thread = self._thread = LoopThread(self._mark)
        thread.add(job)

    def _withdraw(self, job: Job, thrown: BaseException) -> None:
        thread = self._thread
        if thread is None:
            return
        thread.cancel(job, STOPPED if isinstance(thrown, GreenletExit) else None)
        with gevent.Timeout(CANCEL_WITHIN, False):  # type: ignore[arg-type]
            job.take()
            return
        self.abandoned += 1


class LoopThread:
    """A native thread with an asyncio loop that makes one task of every job.

    ``mark`` is what ``in_loop`` knows the thread by, also while the loop comes to its end.
    """

    def __init__(self, mark: object) -> None:
        self.ended = False
        self._loop = NativeLoop()
        self._added: deque[Job] = deque()
        self._signalled = False
        self._stopping = False
        self._tasks: dict[Job, asyncio.Task[None]] = {}
        start_thread(self._run, mark)

    def add(self, job: Job) -> None:
        """Have the loop start the job; jobs start in the order added."""
        self._added.append(job)
        if not self._signalled:
            self._signalled = True
            self._loop.call_soon_threadsafe(self._start_added)

    def cancel(self, job: Job, reason: str | None) -> None:
        """Have the loop cancel the job; it gets an outcome when it has unwound."""
        self._loop.call_soon_threadsafe(self._cancel, job, reason)

    def stop(self) -> None:
        """Have the loop cancel all jobs and end."""
        self._stopping = True
        self._loop.call_soon_threadsafe(self._loop.stop)

    def release(self) -> int:
        """Give every job that has no outcome a ``CancelledError``; return how many had none."""
        left = [*self._tasks, *self._added]
        for job in left:
            job.give((None, asyncio.CancelledError(STOPPED)))
        return len(left)

    def _start_added(self) -> None:
        self._signalled = False
        for _ in range(len(self._added)):
            job = self._added.popleft()
            task = self._loop.create_task(self._perform(job), context=job.context)
            if not task.done():  # an eager task factory may have run it already
                self._tasks[job] = task

    async def _perform(self, job: Job) -> None:
        stamp = job.stamp
        value: Any = None
        error: BaseException | None = None
        stamp.started = now()
        try:
            value = job.function(*job.args, **job.kwargs)
            if isawaitable(value):
                value = await value
        except BaseException as raised:  # noqa: BLE001 - it belongs to the caller, whatever it is
            error = raised
        stamp.ended = now()
        self._tasks.pop(job, None)
        job.give((value, error))
        del value, error  # a traceback that holds this frame must not hold itself

    def _cancel(self, job: Job, reason: str | None) -> None:
        task = self._tasks.get(job)
        if task is None:
            return
        task.cancel(reason)
        if not job.stamp.started:  # the task will not even enter its coroutine
            del self._tasks[job]
            job.give((None, asyncio.CancelledError()))

    def _run(self, mark: object) -> None:
        _here.loop_of = mark
        try:
            while not self._stopping:
                with suppress(SystemExit):  # of a task that a coroutine started and left alone
                    self._loop.run_forever()
            self._loop.run_until_complete(self._unwind())
        finally:
            self._loop.close()
            leave_thread()
            self.ended = True

    async def _unwind(self) -> None:
        this = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not this]
        for task in tasks:
            task.cancel(STOPPED)
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_WITHIN)
        await self._loop.shutdown_asyncgens()
