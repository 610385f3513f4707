"""The engine on websocket-client: its frame codec, over a wire, with one greenlet that reads.

Of websocket-client only the codec is used (``ABNF`` and ``frame_buffer``). Its ``WebSocket`` reads
two or three times per frame, has no limit for a message, never tells of a ping while nobody
receives, and its ``close`` waits for ever on the lock of a reader that waits for a silent server.

Another engine has the same public methods, and calls the same ``Receiver``.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Protocol

import gevent
from gevent.event import Event
from websocket import ABNF, WebSocketProtocolException, frame_buffer

from protouser import ConnectionLost, MalformedMessage, ProtouserError
from protouser_websocket._protocol import (
    CLOSE,
    GOING_AWAY,
    NORMAL,
    PING,
    PONG,
    PROTOCOL_ERROR,
    Assembler,
    Close,
    Fault,
    check_header,
    close_payload,
    parse_close,
)
from protouser_websocket._wire import EndOfStream, Wire, within

__all__ = ["Engine", "Receiver"]

#: How long a server may take to answer a close frame, and to end the connection after both were
#: sent: it is the one who should (section 7.1.1), so that TIME_WAIT costs no port on this side.
GOODBYE_SECONDS = 0.5
_LAST_RESORT_SECONDS = 1.0
#: A server needs the answer to its latest ping only (section 5.5.3).
_MOST_PONGS = 100


class Receiver(Protocol):
    """What an engine calls, in its reading greenlet. No method may block."""

    def on_message(self, message: str | bytes, at: float) -> None:
        """A whole message, whose last bytes arrived at ``at``, a ``now()`` value."""

    def on_pong(self, payload: bytes, at: float) -> None:
        """A pong arrived."""

    def on_end(self, error: ProtouserError, orderly: bool) -> None:
        """Nothing more will come; called exactly once. ``orderly``: it is nobody's failure."""


class Engine:
    """Frames over a wire that has been upgraded, from ``start`` until ``close`` or ``abort``.

    Args:
        wire: the connection; owned from here on.
        receiver: where messages and the end go.
        limit: how many bytes a message may have.
    """

    def __init__(self, wire: Wire, receiver: Receiver, *, limit: int) -> None:
        self._wire = wire
        self._receiver = receiver
        self._assembler = Assembler(limit)
        self._frames = _Frames(wire, self._assembler)
        self._error: ProtouserError | None = None
        self._broken = False
        self._said_goodbye = False
        self._paused: Event | None = None
        self._pongs: deque[bytes] = deque(maxlen=_MOST_PONGS)
        self._ponging: gevent.Greenlet[..., None] | None = None
        self._reading: gevent.Greenlet[..., None] | None = None

    @property
    def closed(self) -> bool:
        """True when nothing can be sent any more."""
        return self._broken or self._error is not None or self._wire.closed

    def start(self) -> None:
        """Read from now on."""
        self._reading = gevent.spawn(self._read)

    def send(self, opcode: int, payload: bytes, timeout: float | None = None) -> None:
        """Send a message, or a ping, in one frame.

        Raises:
            ConnectionLost: the connection has ended, or was lost meanwhile; another
                ``ProtouserError`` where that is what it ended with.
            CallTimeout: the server did not take it within ``timeout`` seconds.
        """
        if self._error is not None:
            # made anew each time: an exception that is raised again drags its tracebacks along
            raise type(self._error)(*self._error.args)
        try:
            self._wire.send(_frame(opcode, payload), timeout)
        except ConnectionLost:
            self._broken = True  # the reader may find out later, and with a better reason
            raise

    def pause(self) -> None:
        """Read no more, which the server feels as back-pressure; its pings wait as well."""
        self._paused = Event()

    def resume(self) -> None:
        """Read on after ``pause``."""
        if self._paused is not None:
            self._paused.set()
            self._paused = None

    def close(self) -> None:
        """Say goodbye and wait for the answer, but not for long. Safe to call twice."""
        self._end(self._closed_here(), orderly=True)
        self.resume()
        try:
            with within(GOODBYE_SECONDS):
                self._say_goodbye(NORMAL)
                if self._reading is not None:
                    self._reading.join()
        finally:
            self._wire.close()
            if self._reading is not None:
                self._reading.join(_LAST_RESORT_SECONDS)

    def abort(self, error: ProtouserError) -> None:
        """End it now, without waiting for anything; who waits gets ``error``."""
        self._end(error, orderly=False)
        if not self._said_goodbye:
            self._said_goodbye = True
            self._wire.send_last(_frame(CLOSE, close_payload(GOING_AWAY)))
        self._wire.close()
        self.resume()

    def _read(self) -> None:
        peer = self._wire.peer
        try:
            close = self._read_messages()
        except Fault as fault:
            self._refuse(fault)
        except EndOfStream:
            text = f"{peer} closed the connection without a close frame"
            self._end(ConnectionLost(text), orderly=False)
        except OSError as error:
            self._end(self._wire.lost(error), orderly=False)
        else:
            self._end(
                ConnectionLost(f"{peer} closed the connection: {close}"), orderly=close.orderly
            )
            self._part(close.code or NORMAL)
        finally:
            self._end(self._closed_here(), orderly=False)  # whatever it was: nobody waits for ever
            self._wire.close()

    def _read_messages(self) -> Close:
        """Deliver what comes until the server says goodbye."""
        frames, wire = self._frames, self._wire
        deliver, assemble = self._receiver.on_message, self._assembler.add
        while True:
            try:
                frame = frames.recv_frame()
            except WebSocketProtocolException:
                # the rest of its rules are those of close frames
                raise Fault(PROTOCOL_ERROR, "a close frame is malformed") from None
            opcode, data = frame.opcode, frame.data
            assert isinstance(data, bytes)
            if opcode < CLOSE:
                message = assemble(frame.fin, opcode, data)
                if message is not None:
                    deliver(message, wire.at)
                    if self._paused is not None:
                        self._paused.wait()
            elif opcode == PING:
                self._answer(data)
            elif opcode == PONG:
                self._receiver.on_pong(data, wire.at)
            else:
                return parse_close(data)

    def _answer(self, payload: bytes) -> None:
        """Send a pong in a greenlet: a server that does not read must not keep us from reading."""
        self._pongs.append(payload)
        if self._ponging is None:
            self._ponging = gevent.spawn(self._send_pongs)

    def _send_pongs(self) -> None:
        try:
            while self._pongs and not self._said_goodbye:
                self._wire.send(_frame(PONG, self._pongs.popleft()))
        except ConnectionLost:
            pass  # the reader finds out, and tells
        finally:
            self._ponging = None

    def _refuse(self, fault: Fault) -> None:
        text = f"{self._wire.peer} broke the WebSocket protocol: {fault.reason}"
        self._end(MalformedMessage(text), orderly=False)
        self._part(fault.code, fault.reason)

    def _part(self, code: int, reason: str = "") -> None:
        """Say goodbye, if that was not done, and wait for the server to end the connection."""
        with within(GOODBYE_SECONDS), suppress(EndOfStream, OSError):
            self._say_goodbye(code, reason)
            while True:
                self._wire.read_some()

    def _say_goodbye(self, code: int, reason: str = "") -> None:
        if not self._said_goodbye and not self._wire.closed:
            self._said_goodbye = True
            with suppress(ProtouserError):
                self._wire.send(_frame(CLOSE, close_payload(code, reason)))

    def _closed_here(self) -> ConnectionLost:
        return ConnectionLost(f"the connection to {self._wire.peer} was closed here")

    def _end(self, error: ProtouserError, *, orderly: bool) -> None:
        if self._error is None:
            self._error = error
            self._receiver.on_end(error, orderly)


class _Frames(frame_buffer):
    """websocket-client's reader of frames, on a wire, with the rules that it does not know."""

    def __init__(self, wire: Wire, assembler: Assembler) -> None:
        super().__init__(wire.read, skip_utf8_validation=True)
        self.recv_strict = wire.read  # type: ignore[method-assign, assignment]
        self._check_length = assembler.check_length

    def recv_header(self) -> None:
        first, second = self.recv_strict(2)
        self.header = check_header(first, second)

    def recv_length(self) -> None:
        super().recv_length()
        header, length = self.header, self.length
        if header is not None and length is not None and header[4] < CLOSE:
            self._check_length(header[4], length)


def _frame(opcode: int, payload: bytes) -> bytes:
    return ABNF.create_frame(payload, opcode).format()
