"""The native thread in which grpc.aio lives: one per process, as long as there is a channel.

Several loops would share one notification socket of grpc and get in each other's way. What the hub
wants done is queued, with one wake-up of the loop for all that is queued until it comes round.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from gevent import Timeout

from protouser.native import Handover, NativeLoop, leave_thread, start_thread
from protouser_grpc._engines._interface import EngineUnavailable
from protouser_grpc._engines._poller import NativeThread, start_poller, stop_poller

__all__ = ["LoopThread", "Steps"]

logger = logging.getLogger(__name__)

_START_WITHIN = 10.0
_UNWIND_WITHIN = 1.0
#: Pauses in seconds before each look whether everything of grpc.aio is gone.
_LET_GO_AFTER = (0.0, *[0.05] * 10)


class LoopThread:
    """A native thread with an asyncio loop for grpc.aio.

    Attributes:
        loop: the loop; only for use in its own thread.
        ended: the thread has done all that it will do.
    """

    def __init__(self) -> None:
        self.loop = NativeLoop()
        self._posted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._signalled = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._poller: NativeThread | None = None
        self._started = Handover()
        self.ended = False
        start_thread(self._run)

    def wait_until_started(self) -> None:
        """Wait for grpc.aio to be ready in the loop; to be called once.

        Raises:
            EngineUnavailable: it does not start here.
        """
        error: BaseException | None = TimeoutError(f"not started within {_START_WITHIN:g} s")
        with Timeout(_START_WITHIN, False):  # type: ignore[arg-type]
            error = self._started.take()
        if error is not None:
            raise EngineUnavailable(f"grpc.aio does not start: {error!r}")

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have ``function(*args)`` called in the loop; in order, from any thread."""
        self._posted.append((function, args))
        if not self._signalled:
            self._signalled = True
            with suppress(RuntimeError):  # the loop has ended, and with it what could be changed
                self.loop.call_soon_threadsafe(self._run_posted)

    def run(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Run a coroutine as a task; in the loop's thread."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def stop(self) -> None:
        """End the loop when what runs in it has unwound; never waits."""
        self.post(lambda: self.loop.create_task(self._stop()))

    def _run_posted(self) -> None:
        self._signalled = False
        posted = self._posted
        for _ in range(len(posted)):
            function, args = posted.popleft()
            try:
                function(*args)
            except Exception:
                logger.exception("a function in the loop of grpc.aio failed")

    def _run(self) -> None:
        try:
            self.loop.call_soon(self._start)
            self.loop.run_forever()
        finally:
            self.loop.close()
            leave_thread()
            self.ended = True

    def _start(self) -> None:
        try:
            self._poller = start_poller()
        except BaseException as error:  # noqa: BLE001  whatever it is, the other engine is used
            self._started.give(error)
            self.loop.stop()
        else:
            self._started.give(None)

    async def _stop(self) -> None:
        await self._unwind()
        stop_poller()
        for pause in _LET_GO_AFTER:
            if self._poller is None or self._poller.ended:
                break
            # The loop itself refers to tasks that have just ended, and the hub to a client that is
            # being closed: whatever of grpc.aio is freed when the loop is closed fails to end.
            await asyncio.sleep(pause)
            gc.collect()  # a call in a cycle, such as one with a traceback, keeps the poller alive
        self.loop.stop()

    async def _unwind(self) -> None:
        """Wait for all tasks, those of grpc as well; what hangs is cancelled."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if not others:
            return
        _, left = await asyncio.wait(others, timeout=_UNWIND_WITHIN)
        for task in left:
            task.cancel()
        await asyncio.sleep(0)


class Steps:
    """Runs an awaitable of grpc.aio to its end, from the loop's thread, without a task of its own.

    Tasks are half the cost of a short call, and begin a turn of the loop later. It is told to
    ``_returned`` or ``_raised``. What it runs must not ask for the current task.
    """

    __slots__ = ()  # so that it goes with other bases; who inherits has a slot for _steps

    _steps: Any

    def _step(self, _awaited: object = None) -> None:
        try:
            future = self._steps.send(None)
        except StopIteration as end:
            self._returned(end.value)
        except BaseException as error:  # noqa: BLE001  it is told to who waits, whatever it is
            self._raised(error)
        else:
            future._asyncio_future_blocking = False  # asyncio's protocol of awaiting a future
            future.add_done_callback(self._step)

    def _returned(self, value: Any) -> None:
        raise NotImplementedError

    def _raised(self, error: BaseException) -> None:
        raise NotImplementedError
