"""A streaming call on grpc.aio: one task reads eagerly, writes are sent in the order queued.

Messages reach the hub in batches with all else that the loop has to tell. Neither side runs away:
the reader pauses when the inbox is full or the hub does not come round, and ``send`` waits while
too many messages are queued, which is when the peer takes none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import grpc
from gevent import Timeout

from protouser import CallTimeout, Inbox, now
from protouser.native import Bridge, Handover
from protouser_grpc._engines._direct import cancel_stream, direct_stream
from protouser_grpc._engines._ended import EndOfStream, ended_error
from protouser_grpc._engines._interface import AHEAD
from protouser_grpc._engines._library import aio
from protouser_grpc._engines._loop import LoopThread, Steps
from protouser_grpc._engines._status import finished, metadata_of, status_of
from protouser_grpc._outcome import Metadata, Status

__all__ = ["AioStream"]

_DONE = object()


class AioStream:
    """One streaming call: for greenlets on the outside, in the loop's thread on the inside."""

    def __init__(self, thread: LoopThread, timeout: float | None) -> None:
        self.status: Status | None = None
        self.ended_at = 0.0
        self._thread = thread
        self._timeout = timeout
        self._bridge = Bridge.of_hub()
        self.inbox: Inbox[bytes] = Inbox(AHEAD, self._pause, self._resume)
        self._outgoing: deque[Any] = deque()
        self._senders: deque[Handover] = deque()  # who waits for room, in the order of coming
        self._call: Any = None
        self._cancelled = False
        self._writing = False
        self._begun = False
        self._paused = False
        self._over = False  # the call takes no more, or has ended: what is left is read unpaused
        self._read = 0  # counted in the loop's thread
        self._delivered = 0  # counted in the hub
        self._resumed: asyncio.Event | None = None

    # ---- in the hub

    def send(self, data: bytes, timeout: float | None) -> None:
        if self.status is not None:
            raise ended_error(self.status, self._timeout)
        if len(self._outgoing) >= AHEAD:
            self._wait_for_room(timeout)
        self._outgoing.append(data)
        self._thread.post(self._write)

    def done_writing(self) -> None:
        if self.status is None:
            self._outgoing.append(_DONE)
            self._thread.post(self._write)

    def receive(
        self, timeout: float | None = None, match: Callable[[bytes], object] | None = None
    ) -> tuple[bytes, float] | None:
        try:
            with self._bridge.waiting():
                message, at, _ = self.inbox.get(timeout, match=match)
        except EndOfStream:
            return None
        return message, at

    def waiting(self) -> AbstractContextManager[Any]:
        return self._bridge.waiting()

    def headers(self, timeout: float | None) -> Metadata:
        if self.status is not None:
            return self.status.initial
        arrival = Handover()
        self._thread.post(self._tell_headers, arrival)
        headers: Metadata | None = None
        with Timeout(timeout, False):  # type: ignore[arg-type]
            headers = arrival.take()
        if headers is None:
            raise CallTimeout(f"no headers within {timeout:g} s")
        return headers

    def cancel(self) -> None:
        if self.status is None:
            self._thread.post(self._cancel)

    def _wait_for_room(self, timeout: float | None) -> None:
        room = Handover()
        self._senders.append(room)
        self._thread.post(self._make_room)
        told = False
        with Timeout(timeout, False):  # type: ignore[arg-type]
            told = room.take()
        if self.status is not None:
            raise ended_error(self.status, self._timeout)
        if not told:
            raise CallTimeout(f"not sent within {timeout:g} s: the server does not read")

    def _deliver(self, message: bytes, at: float) -> None:
        self._delivered += 1
        self.inbox.deliver(message, at)

    def _finish(self, status: Status, at: float) -> None:
        self.status = status
        self.ended_at = at
        error = EndOfStream() if status.ok else status.error(self._timeout)
        self.inbox.end(error)
        self._wake_senders()

    def _pause(self) -> None:
        self._paused = True

    def _resume(self) -> None:
        self._paused = False
        self._thread.post(self._go_on)

    # ---- in the loop's thread

    def begin(self, call: Any) -> None:
        """The call was made: read what comes."""
        if self._cancelled:
            cancel_stream(call)
        self._call = call
        call.add_done_callback(self._read_on)
        self._thread.run(self._pump(call))

    def refuse(self, status: Status) -> None:
        """The call could not be made."""
        self._bridge.post(self._finish, status, now())

    async def _pump(self, call: Any) -> None:
        direct_read = direct_stream(call)[0]
        try:
            read = call.read
            while (message := await read()) is not aio.EOF:
                read = direct_read
                at = now()
                self._read += 1
                self._bridge.post(self._deliver, message, at)
                if (self._paused or self._behind()) and not self._over:
                    await self._room_in_inbox()
            if read is not call.read:
                await call.read()  # raises where the status is not OK
            status = Status(grpc.StatusCode.OK)
        except BaseException as error:  # noqa: BLE001  the reader is to have it, whatever it is
            status = status_of(error) or Status(grpc.StatusCode.UNKNOWN, repr(error))
        at = now()
        if status.ok:
            initial = metadata_of(finished(call.initial_metadata()))
            status = status._replace(
                initial=initial, trailing=metadata_of(finished(call.trailing_metadata()))
            )
        self._call = None
        self._outgoing.clear()
        self._bridge.post(self._finish, status, at)

    def _behind(self) -> bool:
        return self._read - self._delivered >= AHEAD

    async def _room_in_inbox(self) -> None:
        self._resumed = asyncio.Event()
        if self._behind():
            self._bridge.post(self._caught_up)
        if self._paused or self._behind():
            await self._resumed.wait()
        self._resumed = None

    def _caught_up(self) -> None:
        """In the hub: all that was posted before has been delivered."""
        if not self._paused:
            self._thread.post(self._go_on)

    def _go_on(self) -> None:
        if self._resumed is not None and not self._paused:
            self._resumed.set()

    def _write(self) -> None:
        if not self._writing and self._call is not None:
            self._writing = True
            _Writing(self, self._write_out(self._call))

    async def _write_out(self, call: Any) -> None:
        outgoing = self._outgoing
        write = direct_stream(call)[1]
        if not self._begun:
            await call.wait_for_connection()
            self._begun = True
        while outgoing:
            message = outgoing[0]
            if message is _DONE:
                await call.done_writing()
            else:
                await write(message)
            if outgoing:  # the end of the call has cleared it
                outgoing.popleft()
            self._make_room()

    def _wrote(self) -> None:
        self._writing = False

    def _read_on(self, _call: object = None) -> None:
        """Nothing is held back any more: who sends is to learn how the call has ended."""
        self._over = True
        if self._resumed is not None:
            self._resumed.set()

    def _make_room(self) -> None:
        if len(self._outgoing) <= AHEAD // 2:
            self._wake_senders()

    def _wake_senders(self) -> None:
        """From any thread."""
        while self._senders:
            self._senders.popleft().give(True)

    def _tell_headers(self, arrival: Handover) -> None:
        call = self._call
        if call is None:
            self._bridge.post(lambda: arrival.give(self.status.initial if self.status else ()))
        else:
            self._thread.run(_tell(call, arrival))

    def _cancel(self) -> None:
        self._cancelled = True
        if self._call is not None:
            cancel_stream(self._call)


class _Writing(Steps):
    """Writes what is queued; how the call ends is for its reader to say."""

    __slots__ = ("_steps", "_stream")

    def __init__(self, stream: AioStream, work: Any) -> None:
        self._stream = stream
        self._steps = work
        self._step()

    def _returned(self, value: object) -> None:
        self._stream._wrote()

    def _raised(self, error: BaseException) -> None:
        self._stream._wrote()
        self._stream._read_on()


async def _tell(call: Any, arrival: Handover) -> None:
    arrival.give(metadata_of(await call.initial_metadata()))
