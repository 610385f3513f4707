"""The end of a connection: when a client knows of it, and that the hooks for it are told once.

grpc tells nobody. A call that is refused learns of the end a moment before the channel does, and a
channel whose server has gone is merely idle, until the next call has it connect again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import gevent
import grpc

from protouser import ConnectionLost, now
from protouser_grpc._engines import EngineChannel

if TYPE_CHECKING:
    from protouser_grpc._client import GrpcClient

__all__ = ["Ending"]

_READY: Final = grpc.ChannelConnectivity.READY
#: Seconds that a call waits for the channel to know, and how often it looks.
_NEWS_WITHIN: Final = 0.02
_LOOK_AGAIN: Final = 0.001
#: The same where hooks are to be told, and nobody waits.
_TOLD_WITHIN: Final = 1.0
_LOOK_FOR_HOOKS: Final = 0.01


class Ending:
    """What a client knows of the end of its connection.

    Attributes:
        uncertain: a call was refused since the last look: perhaps for the end of the connection.
        told: its hooks know of the end; False again where there is a connection.
    """

    def __init__(self, client: GrpcClient) -> None:
        self.uncertain = False
        self.told = False
        self._client = client
        self._channel: EngineChannel | None = None
        self._looking = False

    def watch(self, channel: EngineChannel | None) -> None:
        """The client has this channel from now on."""
        self._channel = channel
        self.told = False

    def refused(self) -> None:
        """A call ended with UNAVAILABLE, which a server may say as well. Also in the hub."""
        self.uncertain = True
        client = self._client
        if client.user is not None and client.hears_of_end and not self._looking:
            self._looking = True
            client.user.spawn(self._look)

    def stream_ended(self, error: BaseException) -> None:
        """A stream has ended; in the hub."""
        if isinstance(error, grpc.RpcError) and error.code() is grpc.StatusCode.UNAVAILABLE:
            self.refused()

    def settle(self) -> None:
        """Wait for a moment until the channel knows what a call has learned."""
        self.uncertain = False
        self._await_news(_NEWS_WITHIN, _LOOK_AGAIN)

    def tell(self) -> None:
        """Run the hooks for the end, unless they know."""
        if not self.told:
            self.told = True
            error = ConnectionLost(f"the connection to {self._client.url} has ended")
            self._client.disconnected(error)

    def _look(self) -> None:
        channel = self._channel
        try:
            self._await_news(_TOLD_WITHIN, _LOOK_FOR_HOOKS)
            if channel is None or channel is not self._channel:
                return  # closed by the user, or renewed
            if channel.state() is not _READY:
                self.tell()
        finally:
            self._looking = False

    def _await_news(self, within: float, again: float) -> None:
        channel, until = self._channel, now() + within
        while channel is not None and channel.state() is _READY and now() < until:
            gevent.sleep(again)
