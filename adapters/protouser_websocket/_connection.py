"""One connection: engine and inbox, which live and die together."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from protouser import Call, Inbox, MessageConnection, ProtouserError, now
from protouser_websocket._engine import Engine
from protouser_websocket._payload import Message, encode, size_of
from protouser_websocket._protocol import PING
from protouser_websocket._wire import Wire

__all__ = ["Connection"]

logger = logging.getLogger(__name__)

_BACKLOG = (
    "%s: %d messages wait for receive(); until half of them are read the connection is not read on,"
    " so that pings are not answered either (said once)"
)


class Connection(MessageConnection[Message]):
    """One connection: engine and inbox, which live and die together.

    Attributes:
        pongs: the payloads of pongs that answer a ping of ours.
    """

    _warned: ClassVar[bool] = False

    def __init__(self, wire: Wire, *, limit: int) -> None:
        super().__init__(wire.peer, Inbox(on_full=self._pause, on_drained=self._resume))
        self.pongs: Inbox[bytes] = Inbox()
        self._pings: dict[bytes, None] = {}
        self._pinged = 0
        self.engine = Engine(wire, self, limit=limit)
        self.engine.start()

    @property
    def closed(self) -> bool:
        return self.engine.closed

    def on_message(self, message: Message, at: float) -> None:
        self.inbox.deliver(message, at)

    def on_pong(self, payload: bytes, at: float) -> None:
        if payload in self._pings:
            # a pong may stand for the pings before it as well (section 5.5.3)
            for ping in list(self._pings):
                del self._pings[ping]
                self.pongs.deliver(ping, at)
                if ping == payload:
                    break

    def on_end(self, error: ProtouserError, orderly: bool) -> None:
        self.over = self.over or orderly
        self.inbox.end(error)
        self.pongs.end(error)

    def encode(self, call: Call) -> tuple[int, bytes]:
        opcode, data = encode(call.request.payload)
        call.request_length = len(data)
        return opcode, data

    def transmit(self, frame: tuple[int, bytes], timeout: float | None) -> None:
        opcode, data = frame
        self.engine.send(opcode, data, timeout)

    def length_of(self, message: Message) -> int:
        return size_of(message)

    def ping(self, call: Call) -> None:
        """Send a ping with a payload of its own, and wait for its pong."""
        timeout = call.request.timeout
        self._pinged += 1
        payload = str(self._pinged).encode()
        self._pings[payload] = None
        began = now()
        try:
            with self._telling():
                self.engine.send(PING, payload, timeout)
                _, at, _ = self.pongs.get(timeout, began, "pong", match=payload.__eq__)
        finally:
            self._pings.pop(payload, None)
        call.stop(at)

    def close(self) -> None:
        """Close it in order, within the engine's time for that."""
        self.inbox.on_end = None  # nobody else has ended it
        self.tell()
        self.engine.close()

    def abort(self, error: ProtouserError) -> None:
        self.engine.abort(error)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What fails in this block tells of the end, if that is why."""
        try:
            yield
        except BaseException:
            if self.engine.closed:
                self.tell()
            raise

    def _pause(self) -> None:
        if not Connection._warned:
            Connection._warned = True
            logger.warning(_BACKLOG, self.peer, len(self.inbox))
        self.engine.pause()

    def _resume(self) -> None:
        self.engine.resume()
