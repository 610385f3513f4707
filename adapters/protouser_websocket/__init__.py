"""WebSocket: text and binary messages, request and reply, one-way, pushes, pings."""

from protouser_websocket._client import WebSocketClient
from protouser_websocket._matchers import binary, text
from protouser_websocket._user import WebSocketUser

__all__ = ["WebSocketClient", "WebSocketUser", "binary", "text"]
