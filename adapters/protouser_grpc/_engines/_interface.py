"""What an engine does: channels that carry bytes, and say when.

Codec and measuring are not its concern. A call on a channel makes only the calling greenlet wait;
when that greenlet is killed, or a timeout is thrown into it, the call is cancelled at the server.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import grpc

from protouser import Inbox, ProtouserError
from protouser_grpc._options import ChannelOptions, Terms
from protouser_grpc._outcome import Metadata, Status

__all__ = ["AHEAD", "Engine", "EngineChannel", "EngineStream", "EngineUnavailable", "Reply"]

#: Messages that may wait on either side of a stream before the other side is held back.
AHEAD = 256


class EngineUnavailable(ProtouserError):
    """This engine cannot run here; the text says why."""


class Reply(NamedTuple):
    """The answer of a unary call: its bytes, the ``now()`` at which it came, how it ended."""

    data: bytes
    at: float
    status: Status


class EngineStream(Protocol):
    """One call with messages in both directions.

    Attributes:
        status: how it ended; None while it runs.
        ended_at: the ``now()`` at which that was known.
        inbox: the messages that have come; who waits there is ``waiting()``.
    """

    @property
    def inbox(self) -> Inbox[bytes]: ...

    status: Status | None
    ended_at: float

    def send(self, data: bytes, timeout: float | None) -> None:
        """Queue a message; waits while the peer takes none and too many are queued."""

    def done_writing(self) -> None:
        """No more messages will be sent."""

    def receive(
        self, timeout: float | None = None, match: Callable[[bytes], object] | None = None
    ) -> tuple[bytes, float] | None:
        """The next message and the ``now()`` at which it came; None when the stream has ended."""

    def waiting(self) -> AbstractContextManager[Any]:
        """A block in which this greenlet waits for a message."""

    def headers(self, timeout: float | None) -> Metadata:
        """The initial metadata; waits until they are there."""

    def cancel(self) -> None:
        """Cancel the call at the server, unless it has ended. Never waits."""


class EngineChannel(Protocol):
    """A channel to one server."""

    def connect(self, timeout: float | None) -> float:
        """Wait until it is ready; the ``now()`` at which it was.

        Raises:
            ConnectFailed: it could not be made, with the reason; or not in time.
        """

    def state(self) -> grpc.ChannelConnectivity:
        """The state of its connection; never waits."""

    def unary(self, path: str, request: bytes, terms: Terms, headers: bool = False) -> Reply:
        """Make a unary call, whatever its status; headers of an OK only where asked for."""

    def stream(self, path: str, terms: Terms) -> EngineStream:
        """Begin a streaming call."""

    def close(self) -> None:
        """Cancel what runs on it and close it; called once, never waits."""


class Engine(Protocol):
    """A way to speak gRPC under gevent."""

    name: str

    @property
    def survives_fork(self) -> bool:
        """False while, or after, this engine has what a child process cannot do without."""

    def open(self, options: ChannelOptions) -> EngineChannel:
        """Return a channel, which connects when it is told to; may wait for the engine to start.

        Raises:
            EngineUnavailable: it cannot run here.
        """
