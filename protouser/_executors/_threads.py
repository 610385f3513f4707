"""Blocking calls in native threads: a pool for any of them, and one thread for one object.

A native thread cannot be stopped from outside. When its caller goes away, killed or timed out,
the thread is *abandoned*: it runs on, its result is dropped, and the executor counts it. An
abandoned thread of a pool does not count against the pool's size, so that one hanging server does
not take the threads of the others; but a pool never has more than twice its size in threads, so
that hanging calls cannot pile up without end.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import Generic, Protocol, TypeVar

import gevent

from protouser._call import now
from protouser._errors import ConfigurationError
from protouser._executors._bridge import leave_thread
from protouser._executors._job import Job, NativeExecutor, Outcome
from protouser._executors._native import NativeQueue, forget_in_child, start_thread
from protouser._outcome import STOPPED

__all__ = ["Crew", "PinnedExecutor", "ThreadExecutor", "Work"]

CLOSE_WITHIN = 1.0
_LOOK_AGAIN = 0.002


class Work(Protocol):
    """What a crew can run; neither method raises or waits for anybody else."""

    def run(self) -> Outcome:
        """Do the work in the native thread."""

    def give(self, outcome: Outcome, /) -> None:
        """Hand over what came of it."""


W = TypeVar("W", bound=Work)


class Crew(Generic[W]):
    """Native threads that run works in the order given; made when needed, reused, never joined.

    Sets whose members are added and removed in one atomic step say where a work is, so that no
    thread waits for a lock that the hub's thread holds, nor the hub for theirs.
    """

    def __init__(self, size: int, spare: int = 0) -> None:
        self.size = size
        self.spare = spare
        self.running: set[W] = set()
        self.stuck: set[W] = set()
        self._queued: set[W] = set()
        self._queue = NativeQueue()
        self._threads: set[object] = set()
        self._dismissed = False

    @property
    def unfinished(self) -> list[W]:
        """The works that run or are still to run."""
        return [*self.running, *self._queued]

    @property
    def gone(self) -> bool:
        """Whether all threads have ended."""
        return not self._threads

    def add(self, work: W) -> None:
        """Queue the work for the next free thread."""
        self._queued.add(work)
        try:
            self._grow()
        except RuntimeError:
            self._claim(work)
            raise
        self._queue.put(work)

    def withdraw(self, work: W) -> bool:
        """Take the work back; false if it runs, and then its thread counts as stuck until it ends.

        A work that has finished already is as good as taken back.
        """
        if self._claim(work):
            return True
        if work not in self.running:
            return True
        self.stuck.add(work)
        if work not in self.running:  # it ended between the two lines, unaware of being stuck
            self.stuck.discard(work)
            return True
        self._grow()
        return False

    def dismiss(self) -> None:
        """Let every thread end when it has done what is queued."""
        self._dismissed = True
        for _ in range(len(self._threads)):
            self._queue.put(None)

    @property
    def _most(self) -> int:
        return self.size + min(self.spare, len(self.stuck))

    def _claim(self, work: W) -> bool:
        try:
            self._queued.remove(work)
        except KeyError:
            return False
        return True

    def _grow(self) -> None:
        threads = len(self._threads)
        wanted = len(self._queued) + len(self.running)
        if threads < min(wanted, self._most) and not self._dismissed:
            token = object()
            self._threads.add(token)
            try:
                start_thread(self._serve, token)
            except RuntimeError:  # the system has no more threads; the others will have to do
                self._threads.discard(token)
                if not threads:
                    raise

    def _serve(self, token: object) -> None:
        try:
            while self._serve_next():
                pass
        finally:
            self._threads.discard(token)
            self._grow()  # two threads may both have found themselves one too many
            leave_thread()

    def _serve_next(self) -> bool:
        """Run one work; false when this thread is to end. What it ran is not held on to."""
        work: W | None = self._queue.get()
        if work is None:
            return False
        if not self._enter(work):
            return True
        outcome = work.run()
        self.running.discard(work)
        work.give(outcome)
        del outcome  # the traceback of an error reaches this frame
        if work not in self.stuck:
            return True
        self.stuck.discard(work)
        return len(self._threads) <= self._most

    def _enter(self, work: W) -> bool:
        self.running.add(work)
        if self._claim(work):
            return True
        self.running.discard(work)
        return False


class ThreadExecutor(NativeExecutor):
    """Runs calls in up to ``maxsize`` native threads; further calls wait for a free one.

    It may be used again after ``close``: its threads are made when they are needed.
    """

    name = "thread"

    def __init__(self, maxsize: int = 128) -> None:
        super().__init__()
        self.maxsize = maxsize
        self._crew: Crew[Job] | None = None
        forget_in_child(self)

    def close(self) -> None:
        """Let the calls end within a second; those that do not end with ``CancelledError``."""
        crew, self._crew = self._crew, None
        if crew is not None:
            self.abandoned += _end(crew)

    def forget(self) -> None:
        """Start anew in a child process."""
        self._crew = None

    def _submit(self, job: Job) -> None:
        crew = self._crew
        if crew is None:
            crew = self._crew = self._new_crew()
        crew.add(job)

    def _new_crew(self) -> Crew[Job]:
        return Crew(self.maxsize, spare=self.maxsize)

    def _withdraw(self, job: Job, thrown: BaseException) -> None:
        crew = self._crew
        if crew is not None and not crew.withdraw(job):
            self.abandoned += 1


class PinnedExecutor(ThreadExecutor):
    """Runs all calls in one native thread, in the order made: for objects that demand it.

    A call that was abandoned keeps the thread until it returns, and later calls wait for it:
    a second thread would be of no use, as the object accepts only the first.
    """

    name = "pinned"

    def __init__(self) -> None:
        super().__init__(maxsize=1)
        self._closed = False

    def close(self) -> None:
        """End the thread after what is queued, within a second, and accept no further calls."""
        self._closed = True
        super().close()

    def _submit(self, job: Job) -> None:
        if self._closed:
            raise ConfigurationError(
                "a pinned object was used after its thread had ended; "
                "construct it anew, or close it later"
            )
        super()._submit(job)

    def _new_crew(self) -> Crew[Job]:
        return Crew(1)


def _end(crew: Crew[Job]) -> int:
    """Dismiss the crew, release who still waits after the time limit; return how many run on."""
    crew.dismiss()
    limit = now() + CLOSE_WITHIN
    try:
        while not crew.gone and now() < limit:
            gevent.sleep(_LOOK_AGAIN)
    finally:
        stuck = set(crew.running) - crew.stuck
        for job in crew.unfinished:
            crew.withdraw(job)
            job.give((None, CancelledError(STOPPED)))
    return len(stuck)
