"""The WebSocket client: messages both ways over one connection that is read all the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

from protouser import CallOptions, ConfigurationError, MessageClient, Request, Url
from protouser.net import Deadline, Proxy, TlsOptions, open_stream
from protouser_websocket._connection import Connection
from protouser_websocket._handshake import Handshake
from protouser_websocket._opening import Opening, target_of
from protouser_websocket._protocol import DEFAULT_LIMIT
from protouser_websocket._upgrade import upgrade
from protouser_websocket._wire import Wire

__all__ = ["WebSocketClient"]

_PORTS = {"ws": 80, "wss": 443}


class WebSocketClient(MessageClient[Connection]):
    """A connection to ``ws://host:port/path?query`` or ``wss://...`` (RFC 6455).

    A ``str`` is a text message and ``bytes`` are a binary one, both ways. Pings are answered
    whatever the user does. A user name and password in the URL are sent as basic authentication.

    Options: ``headers`` (a dict, or a list of "Name: value"), ``subprotocols`` (the best first;
    one must be agreed upon), ``origin``, ``cookies`` (a dict), ``max_size`` of a received message
    in bytes, ``timeout`` and ``connect_timeout`` in seconds; ``proxy`` and ``no_proxy``; for TLS
    ``verify``, ``ca_file``, ``cert``, ``key`` and ``server_name``. After ``close`` the next call
    connects anew.

    Attributes:
        subprotocol: what was agreed upon; None without.
        response_headers: those of the server's answer to the upgrade, names in lower case.
    """

    protocol = "ws"
    schemes = ("ws", "wss")
    option_names = (
        MessageClient.common_options
        | TlsOptions.NAMES
        | Proxy.NAMES
        | {"headers", "subprotocols", "origin", "cookies", "max_size"}
    )

    def __init__(self, url: str | Url, **options: Any) -> None:
        super().__init__(url, **options)
        self._opening = _opening(self.url, target_of(url, self.url), self.options)
        self._limit = _size(self.options)
        self._tls = TlsOptions.of(self.options) if self.url.scheme == "wss" else None
        self.subprotocol: str | None = None
        self.response_headers: Mapping[str, str] = {}

    def connect_request(self) -> Request:
        return Handshake(self._opening.headers, self.connect_timeout)

    def connect(self) -> None:
        deadline = Deadline(self.connect_timeout)
        wire = self._open_wire(deadline)
        self.resources.callback(wire.close)
        connecting = self.connecting
        assert connecting is not None
        # a refusal's body may be waited for, and that is no time of connecting
        opening = connecting.request.applied_to(self._opening)
        answer, self.subprotocol = upgrade(wire, opening, deadline, connecting.stop)
        self.response_headers = answer.headers
        connecting.mark("upgrade", wire.at)
        self.connection = Connection(wire, limit=self._limit)
        self.resources.callback(self.connection.close)

    def ping(
        self,
        *,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Send a ping and wait for its pong: one sample.

        Raises:
            CallTimeout: no pong within ``timeout`` seconds.
            ConnectionLost: the connection ended first.
        """
        connection = self.connection
        if connection is None or connection.over:
            connection = self.renewed()
        limit = self.timeout if timeout is None else timeout
        return self.perform("ping", connection.ping, request=Request(None, limit), **options)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        _opening(Url("ws", "localhost"), "/", options)
        _size(options)

    @classmethod
    def parse_url(cls, url: str | Url) -> Url:
        parsed = super().parse_url(url)
        if isinstance(url, str) and "#" in url:
            raise ConfigurationError(
                f"{parsed} is followed by a '#', which a WebSocket URL cannot have; write %23"
            )
        if not parsed.host:
            raise ConfigurationError(f"{parsed} names no host; write ws://localhost:8000/path")
        if parsed.port is not None:
            return parsed
        return replace(parsed, port=_PORTS[parsed.scheme])

    def _open_wire(self, deadline: Deadline) -> Wire:
        assert self.connecting is not None
        assert self.url.port is not None
        peer = str(self.url)
        sock = open_stream(
            self.url.host,
            self.url.port,
            timeout=deadline,
            tls=self._tls,
            proxy=self.proxy,
            peer=peer,
            mark=self.connecting.mark,
        )
        return Wire(sock, peer)


def _opening(url: Url, target: str, options: Mapping[str, Any]) -> Opening:
    return Opening.of(
        url,
        target,
        default_port=_PORTS[url.scheme],
        headers=options.get("headers"),
        subprotocols=options.get("subprotocols"),
        origin=options.get("origin"),
        cookies=options.get("cookies"),
    )


def _size(options: Mapping[str, Any]) -> int:
    value = options.get("max_size", DEFAULT_LIMIT)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ConfigurationError(f"max_size={value!r} is no number of bytes above 0")
