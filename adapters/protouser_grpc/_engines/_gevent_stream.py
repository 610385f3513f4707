"""A streaming call of grpc's sync API: a greenlet reads eagerly, grpc's own one writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import gevent
import grpc
from gevent.event import Event
from gevent.queue import Empty, Full, Queue

from protouser import CallTimeout, Inbox, now
from protouser_grpc._engines._ended import EndOfStream, ended_error
from protouser_grpc._engines._interface import AHEAD
from protouser_grpc._options import Terms
from protouser_grpc._outcome import Metadata, Status

__all__ = ["GeventStream"]


class GeventStream:
    """One streaming call of grpc's sync API."""

    def __init__(
        self,
        method: Any,
        terms: Terms,
        status_of: Callable[[Any], Status],
        holding_a_thread: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.status: Status | None = None
        self.ended_at = 0.0
        self._timeout, metadata, wait_for_ready = terms
        self._status_of = status_of
        self._holding_a_thread = holding_a_thread
        self._outgoing: Queue[bytes | None] = Queue(AHEAD)
        self._room = Event()
        self._room.set()
        self._left = False
        self.inbox: Inbox[bytes] = Inbox(AHEAD, self._room.clear, self._room.set)
        self._call = method(
            self._requests(),
            timeout=self._timeout,
            metadata=metadata,
            wait_for_ready=wait_for_ready,
        )
        gevent.spawn(self._read)

    def send(self, data: bytes, timeout: float | None) -> None:
        if self.status is not None:
            raise ended_error(self.status, self._timeout)
        try:
            self._outgoing.put(data, timeout=timeout)
        except Full:
            raise CallTimeout(f"not sent within {timeout:g} s: the server does not read") from None

    def done_writing(self) -> None:
        if self.status is None:
            self._outgoing.put(None)

    def receive(
        self, timeout: float | None = None, match: Callable[[bytes], object] | None = None
    ) -> tuple[bytes, float] | None:
        try:
            message, at, _ = self.inbox.get(timeout, match=match)
        except EndOfStream:
            return None
        return message, at

    def waiting(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def headers(self, timeout: float | None) -> Metadata:
        if self.status is not None:
            return self.status.initial
        with gevent.Timeout(timeout, CallTimeout(f"no headers within {timeout} s")):
            from protouser_grpc._engines._status import metadata_of

            return metadata_of(self._call.initial_metadata())

    def cancel(self) -> None:
        if self.status is None:
            self._call.cancel()
            self._left = True
            self._room.set()
            self._stop_writing()

    def _requests(self) -> Iterator[bytes]:
        """What grpc's greenlet sends; ends with the call."""
        while (message := self._outgoing.get()) is not None:
            yield message

    def _read(self) -> None:
        call = self._call
        try:
            with self._holding_a_thread():
                for message in call:
                    self.inbox.deliver(message, now())
                    if not self._left:
                        self._room.wait()
            at = now()
        except grpc.RpcError:
            at = now()
        self._finish(self._status_of(call), at)

    def _finish(self, status: Status, at: float) -> None:
        self.status = status
        self.ended_at = at
        self._stop_writing()
        self.inbox.end(EndOfStream() if status.ok else status.error(self._timeout))

    def _stop_writing(self) -> None:
        try:
            while True:
                self._outgoing.get_nowait()
        except Empty:
            self._outgoing.put_nowait(None)
