"""The user of a WebSocket server."""

from __future__ import annotations

from typing import ClassVar

from protouser import ConfigurationError, ProtocolClient, ProtocolUser
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

    @classmethod
    def check_host(cls, given: str | None) -> None:
        super().check_host(given)
        names = WebSocketClient.option_names
        found = {name: getattr(cls, name) for name in names if hasattr(cls, name)}
        # a property has a value for each user, and none for the class
        options = {name: value for name, value in found.items() if not hasattr(value, "__get__")}
        try:
            WebSocketClient.check_options(options)
        except ConfigurationError as error:
            raise ConfigurationError(f"{cls.__name__}: {error}") from None
