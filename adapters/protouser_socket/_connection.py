"""One connection: socket, decoder and inbox, which live and die together."""

from __future__ import annotations

from protouser import ConnectionLost, Inbox, MalformedMessage, ProtouserError
from protouser.net import HubSocket
from protouser_socket._framing import Decoder

__all__ = ["Connection"]


class Connection:
    """One connection: socket, decoder and inbox, which live and die together.

    Attributes:
        over: the next request needs a new one: the end was orderly, or it was told.
        told: a call has failed because of the end, or it was closed on this side.
    """

    socket: HubSocket

    def __init__(self, decoder: Decoder, peer: str) -> None:
        self.decoder = decoder
        self.peer = peer
        self.over = False
        self.told = False
        self.inbox: Inbox[bytes] = Inbox(on_full=self._pause, on_drained=self._resume)

    def on_data(self, data: bytes, at: float) -> None:
        decoder = self.decoder
        for message in decoder.feed(data):
            self.inbox.deliver(message, at)
        if decoder.fault is not None:
            raise decoder.fault

    def on_close(self, error: BaseException | None) -> None:
        if _is_tls_alert(self.decoder.rest):
            error = MalformedMessage(f"{self.peer} answers in TLS; write tls:// for tcp://")
        elif error is None:
            error = self._check_end()
        self.inbox.end(error)

    def tell(self) -> None:
        """A call learns of the end right now."""
        self.over = self.told = True

    def close(self) -> None:
        self.tell()
        self.socket.close()

    def abandon(self) -> None:
        """Close it, since a reply that comes too late would be taken for that of the next."""
        self.tell()
        self.socket.close(
            ConnectionLost(f"the connection to {self.peer} was closed: a call on it got no reply")
        )

    def _check_end(self) -> ProtouserError:
        try:
            self.decoder.finish()
        except MalformedMessage as fault:
            return fault
        self.over = True
        return ConnectionLost(f"{self.peer} closed the connection")

    def _pause(self) -> None:
        self.socket.pause()

    def _resume(self) -> None:
        self.socket.resume()


def _is_tls_alert(data: bytearray) -> bool:
    """True for what a TLS server says to a plain client: an alert record of two bytes."""
    return data[:2] == b"\x15\x03" and data[3:5] == b"\x00\x02"
