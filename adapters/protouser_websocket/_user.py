"""The user of a WebSocket server."""

from __future__ import annotations

from typing import ClassVar

from protouser import ProtocolClient, ProtocolUser
from protouser_websocket._client import WebSocketClient

__all__ = ["WebSocketUser"]


class WebSocketUser(ProtocolUser):
    """A user of a WebSocket server; the client's options may stand on the class.

    Attributes:
        client: the ``WebSocketClient`` of ``host``.
    """

    abstract = True
    client_class: ClassVar[type[ProtocolClient] | None] = WebSocketClient
    client: WebSocketClient
