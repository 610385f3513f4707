"""One connection: socket, decoder and inbox, which live and die together."""

from __future__ import annotations

from typing import Any

from protouser import (
    Call,
    ConnectionLost,
    Inbox,
    MalformedMessage,
    MessageConnection,
    ProtouserError,
    now,
)
from protouser.net import HubSocket
from protouser_socket._framing import Framing
from protouser_socket._payload import payload_of, text_as_bytes
from protouser_socket._silence import Silence

__all__ = ["Connection"]


class Connection(MessageConnection[Any]):
    """One connection: socket, decoder and inbox, which live and die together."""

    socket: HubSocket

    def __init__(self, framing: Framing, peer: str) -> None:
        super().__init__(peer, Inbox(on_full=self._pause, on_drained=self._resume))
        self.decoder = framing.decoder()
        self._framing = framing
        self._frame = framing.encode
        # bytes are payloads as they are, unless a codec makes them of something else
        self._takes_bytes = type(framing).payload is Framing.payload
        self._begun: float | None = None
        gap = self.decoder.idle_gap
        self._silence = None if gap is None else Silence(gap, self._on_silence)

    def start(self, socket: HubSocket) -> None:
        """Messages go over ``socket`` from now on."""
        self.socket = socket
        # what every message goes through, without a function in between
        self.transmit = socket.send  # type: ignore[method-assign, assignment]

    @property
    def closed(self) -> bool:
        return self.socket.closed

    def encode(self, call: Call) -> bytes:
        payload = call.request.payload
        if type(payload) is bytes and self._takes_bytes:
            call.request_length = len(payload)
            return self._frame(payload)
        return self._frame(payload_of(call, self._framing.payload(payload)))

    def as_message(self, request: Any) -> Any:
        return text_as_bytes(request)

    def transmit(self, frame: bytes, timeout: float | None) -> None:
        self.socket.send(frame, timeout)

    def abort(self, error: ProtouserError) -> None:
        self.socket.close(error)

    def on_data(self, data: bytes, at: float) -> None:
        if self._silence is not None:
            self._silence.heard(at)
        decoder = self.decoder
        messages = decoder.feed(data)
        if decoder.rest or self._begun is not None:
            self._note_pieces(messages, at)
        for message in messages:
            self.inbox.deliver(message, at)
        if decoder.fault is not None:
            raise decoder.fault

    def on_close(self, error: BaseException | None) -> None:
        if self._silence is not None:
            self._silence.close()
        if _is_tls_alert(self.decoder.rest):
            error = MalformedMessage(f"{self.peer} answers in TLS; write tls:// for tcp://")
        elif error is None:
            error = self._check_end()
        self.inbox.end(error)

    def close(self) -> None:
        self.inbox.on_end = None  # nobody else has ended it
        self.tell()
        self.socket.close()

    def shutdown_send(self) -> None:
        """Nothing more will be sent; what comes can still be received."""
        self.socket.shutdown_send()
        self.over = True

    def _note_pieces(self, messages: list[Any], at: float) -> None:
        """When the first byte came of a message that takes more than one read."""
        begun = self._begun
        if not messages:
            self._begun = at if begun is None else begun
            return
        if begun is not None and begun < at:
            self.pieces = begun, at
        self._begun = at if self.decoder.rest else None

    def _check_end(self) -> ProtouserError:
        try:
            messages = self.decoder.finish()
        except MalformedMessage as fault:
            return fault
        self.over = True  # before who waits goes on: his next request needs a new connection
        at = now() if self._silence is None else self._silence.since
        self._note_pieces(messages, at)
        for message in messages:
            self.inbox.deliver(message, at)
        return ConnectionLost(f"{self.peer} closed the connection")

    def _on_silence(self) -> None:
        assert self._silence is not None
        at = self._silence.since  # the silence is no part of a call's time
        messages = self.decoder.flush()
        self._note_pieces(messages, at)
        for message in messages:
            self.inbox.deliver(message, at)
        if self.decoder.fault is not None:
            self.socket.close(self.decoder.fault)

    def _pause(self) -> None:
        self.socket.pause()
        if self._silence is not None:
            self._silence.pause()

    def _resume(self) -> None:
        self.socket.resume()
        if self._silence is not None:
            self._silence.resume()


def _is_tls_alert(data: bytearray) -> bool:
    """True for what a TLS server says to a plain client: an alert record of two bytes."""
    return data[:2] == b"\x15\x03" and data[3:5] == b"\x00\x02"
