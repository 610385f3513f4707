"""Results that come in pieces: generators, iterators and async iterators, measured as one call.

The call began when the stream was asked for. It ends with the last item; the first one is a phase
"first item". The number of items is a counter, and the call's response, which a check gets. A
stream that its reader leaves early is a success up to the last item it read, and counted as left.
Whether a stream was left by its reader or by the end of its user is not known while the stack
unwinds, so leaving is settled a moment later, unless the user has ended by then: then the call is
cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final, Self

from protouser._call import Call, now
from protouser._executors import Executor, Stamp

__all__ = ["END", "FIRST_ITEM", "AsyncStream", "Steps", "Stream", "async_step", "step"]

FIRST_ITEM: Final = "first item"


class _End:
    """Marks the end of a stream where ``StopIteration`` cannot travel: between threads."""


END: Final = _End()


def step(source: Iterator[Any]) -> Any:
    """The next item, or ``END``."""
    return next(source, END)


async def async_step(source: AsyncIterator[Any]) -> Any:
    """The next item of an async iterator, or ``END``."""
    try:
        return await source.__anext__()
    except StopAsyncIteration:
        return END


class Steps:
    """Reads an iterator item by item, where it lives; ``at`` says when the last reading ended."""

    def __init__(
        self, read: Callable[[Any], Any], source: Any, executor: Executor | None = None
    ) -> None:
        self._read = read
        self._source = source
        self._executor = executor
        self.at = 0.0

    def __call__(self) -> Any:
        stamp = Stamp()
        try:
            if self._executor is None:
                return self._read(self._source)
            return self._executor.call(self._read, (self._source,), {}, stamp)
        finally:
            self.at = stamp.ended or now()


class _Reading:
    """What both kinds of stream do with their call."""

    def __init__(self, call: Call, source: Any) -> None:
        self._call = call
        self._source = source
        self._items = 0
        self._bytes = 0
        self._open = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def _received(self, item: Any, at: float) -> None:
        if not self._items:
            self._call.mark(FIRST_ITEM, at)
        self._items += 1
        if isinstance(item, bytes | str):
            self._bytes += len(item)
        self._call.stop(at)

    def _finished(self, at: float, error: BaseException | None = None) -> None:
        if not self._open:
            return
        self._conclude()
        self._call.stop(at)
        self._call.end(error)

    def _left(self) -> None:
        if not self._open:
            return
        self._conclude()
        self._call.leave()

    def _conclude(self) -> None:
        self._open = False
        self._call.response = self._items
        self._call.response_length = self._bytes
        if self._items:
            self._call.count("items", self._items)

    def __del__(self) -> None:
        self._left()


class Stream(_Reading, Iterator[Any]):
    """An iterator whose whole length is one call."""

    def __init__(self, call: Call, source: Any, steps: Steps) -> None:
        super().__init__(call, source)
        self._steps = steps

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if not self._open:
            raise StopIteration
        steps = self._steps
        try:
            item = steps()
        except BaseException as error:
            self._finished(steps.at, error)
            raise
        if item is END:
            self._finished(steps.at)
            raise StopIteration
        self._received(item, steps.at)
        return item

    def close(self) -> None:
        """Leave the stream: a success up to here, unless it had ended. Safe to call twice."""
        self._left()
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


class AsyncStream(_Reading, AsyncIterator[Any]):
    """The same for ``async for`` in an async task."""

    def __init__(self, call: Call, source: Any, read: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(call, source)
        self._read = read

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if not self._open:
            raise StopAsyncIteration
        try:
            item = await self._read()
        except BaseException as error:
            self._finished(now(), error)
            raise
        if item is END:
            self._finished(now())
            raise StopAsyncIteration
        self._received(item, now())
        return item

    async def aclose(self) -> None:
        """Leave the stream: a success up to here, unless it had ended. Safe to call twice."""
        self._left()
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
