"""How long a connection is used: by a user until the end, for an iteration, or for a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from protouser import Call, ConfigurationError
from protouser.net import HubSocket
from protouser_socket._connection import Connection
from protouser_socket._framing import Framing

__all__ = ["PER_ITERATION", "Use", "connection_for"]

PER_USER: Final = "per_user"
PER_ITERATION: Final = "per_iteration"
PER_REQUEST: Final = "per_request"


class Use(NamedTuple):
    """What a client's options say of the use of its connections.

    Attributes:
        kept: one of ``PER_USER``, ``PER_ITERATION`` and ``PER_REQUEST``.
        half_close: the sending side ends with each request, which therefore is the last.
    """

    kept: str
    half_close: bool

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Read and check the options.

        Raises:
            ConfigurationError: a value is none that the option can have, or both contradict.
        """
        half_close = options.get("half_close", False)
        kept = options.get("connection", PER_REQUEST if half_close else PER_USER)
        if kept not in (PER_USER, PER_ITERATION, PER_REQUEST):
            raise ConfigurationError(
                f'connection={kept!r}; it is "per_user", "per_iteration" or "per_request"'
            )
        if not isinstance(half_close, bool):
            raise ConfigurationError(f"half_close={half_close!r}; it is True or False")
        if half_close and kept != PER_REQUEST:
            raise ConfigurationError(
                f"half_close=True ends a connection with its request, so connection={kept!r} cannot"
                ' be; leave it out, or say "per_request"'
            )
        return cls(kept, half_close)


def connection_for(use: Use, framing: Framing, peer: str) -> Connection:
    """A connection that knows when its use is over."""
    if use.kept == PER_REQUEST:
        return _SingleUse(framing, peer, use.half_close)
    return Connection(framing, peer)


class _SingleUse(Connection):
    """A connection for one request, or one message that has no reply and what comes after it.

    It is closed when the reply is there. After a message without a reply it stays open for
    ``receive``, until the next ``request`` or ``send``.
    """

    def __init__(self, framing: Framing, peer: str, half_close: bool) -> None:
        super().__init__(framing, peer)
        self._half_close = half_close
        self._asked: Call | None = None

    def start(self, socket: HubSocket) -> None:
        self.socket = socket

    def exchange(self, call: Call) -> Any:
        self._ask_once(call)
        message = super().exchange(call)
        self.close()
        return message

    def exchange_by_id(self, call: Call) -> Any:
        self._ask_once(call)
        try:
            return super().exchange_by_id(call)
        finally:  # a late reply would do no harm here, but no other request may use it
            self.close()

    def _ask_once(self, call: Call) -> None:
        if self._asked not in (None, call):
            raise ConfigurationError(
                "another request is under way on this connection, which is closed after it; open a"
                " client for each greenlet, or leave connection= out"
            )
        self._asked = call

    def send(self, call: Call) -> None:
        super().send(call)
        self.over = True

    def transmit(self, frame: bytes, timeout: float | None) -> None:
        super().transmit(frame, timeout)
        if self._half_close:
            self.socket.shutdown_send()
