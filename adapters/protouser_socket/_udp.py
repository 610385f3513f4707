"""The datagrams exchanged with one server: an inbox, and the socket of the moment.

Nothing in a datagram says which request it answers. So what comes first after a request was sent is
its reply, unless ``match`` says better, and two at once need a ``match`` each. A request that was
given up takes its socket with it, because its reply may still come; the next call has another one,
with another local port. The socket given up stays open and unread until a later one is given up
too: else its port might become that of another user, who would get the late reply.

With ``correlate`` a reply says which request it answers, so any number may be under way, the socket
stays, and more can be told of the network; see ``Path``.
"""

from __future__ import annotations

from typing import Any

from protouser import (
    Call,
    CallTimeout,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    Inbox,
    MessageConnection,
    ProtouserError,
)
from protouser.net import DatagramSocket
from protouser_socket._path import Path
from protouser_socket._payload import payload_of, text_as_bytes

__all__ = ["Conversation"]


class Conversation(MessageConnection[bytes]):
    """The datagrams exchanged with one server; it is over when it is closed on this side."""

    socket: DatagramSocket

    def __init__(self, peer: str) -> None:
        super().__init__(peer, Inbox())
        self._path = Path()
        self._unsent: BaseException | None = None
        self._asking = 0
        self._asking_any = False
        self._given_up: DatagramSocket | None = None
        self._untold: ConnectFailed | None = None

    @property
    def closed(self) -> bool:
        return self.over

    def encode(self, call: Call) -> bytes:
        payload = call.request.payload
        if type(payload) is bytes:
            call.request_length = len(payload)
            return payload
        return payload_of(call, payload)

    def as_message(self, request: Any) -> Any:
        return text_as_bytes(request)

    def transmit(self, frame: bytes, timeout: float | None) -> None:
        try:
            socket = self.socket
            if self._untold is not None or socket.closed:
                socket = self._usable()
            socket.send(frame, timeout)
        except ConnectFailed:
            self.tell()
            raise
        except CallTimeout as error:
            self._unsent = error
            raise

    def exchange(self, call: Call) -> bytes:
        match = call.request.match
        if self._asking_any or (self._asking and match is None):
            raise ConfigurationError(
                "another request of this client is under way, and nothing in a datagram says which"
                " one it answers; give match= to both, or open a client for each greenlet"
            )
        self._asking += 1
        self._asking_any = match is None
        try:
            self._usable().drain()  # what is there by now is no reply
            return MessageConnection.exchange(self, call)  # super() makes an object each time
        except CallTimeout as error:
            self._count_lost(call, error)
            raise
        finally:
            self._asking -= 1
            self._asking_any = False

    def exchange_by_id(self, call: Call) -> bytes:
        if self._asking_any:
            raise ConfigurationError(
                "a request without an id is under way, which any reply could be for; give it match="
                " or correlate=, or open a client for each greenlet"
            )
        self._asking += 1
        self._path.sent(call)
        try:
            return super().exchange_by_id(call)
        except CallTimeout as error:
            self._count_lost(call, error)
            raise
        finally:
            self._asking -= 1
            self._path.over(call)

    def note_arrival(self, call: Call, message: bytes, at: float, waited: bool) -> None:
        super().note_arrival(call, message, at, waited)
        self._path.arrived(call, at)

    def receive(self, call: Call) -> bytes:
        self._usable()
        return super().receive(call)

    def tell(self) -> None:
        """A call learns of the refusal right now."""
        self._untold = None

    def abandon(self) -> None:
        """Give the socket up, unless it serves others whose replies can be told apart."""
        self.tell()
        if self._asking == 1:
            self._give_up()

    def abort(self, error: ProtouserError) -> None:
        self.over = self.told = True
        for socket in (self._given_up, self.socket):
            if socket is not None:
                socket.close()
        self.inbox.end(error)

    def close(self) -> None:
        """End it; who waits is woken."""
        self.abort(ConnectionLost(f"the socket to {self.peer} was closed here"))

    def on_datagram(self, data: bytes, at: float) -> None:
        self.inbox.deliver(data, at)

    def on_refusal(self, error: ConnectFailed) -> None:
        """Whoever waits is told; else the next call is."""
        self._give_up()
        self._untold = error
        self.inbox.interrupt(error)

    def _count_lost(self, call: Call, error: CallTimeout) -> None:
        if error is not self._unsent:
            call.count("lost")

    def _usable(self) -> DatagramSocket:
        """The socket to send with, in place of one that was given up; not before all is told."""
        if self._untold is not None:
            error, self._untold = self._untold, None
            raise error.with_traceback(None)
        if self.socket.closed and not self.over:
            self.socket = self.socket.renewed()
        return self.socket

    def _give_up(self) -> None:
        if self.socket.closed:
            return
        if self._given_up is not None:
            self._given_up.close()
        self._given_up = self.socket
        self._given_up.retire()
