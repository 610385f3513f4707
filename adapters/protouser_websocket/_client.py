"""The WebSocket client: messages both ways over one connection that is read all the time.

A reply that comes after its request was given up would be taken for the reply of the next. So a
connection whose request timed out, was killed or failed is closed, and the next call connects
anew, as a row "connect" of its own. An orderly end that nobody was waiting through is no failure
of anybody: the next call connects anew as well. Any other end is told to one call at least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gevent.lock import BoundedSemaphore

from protouser import ConfigurationError, ProtocolClient, Url
from protouser.net import Deadline, TlsOptions, open_stream
from protouser_websocket._connection import Connection, Match
from protouser_websocket._opening import Opening, target_of
from protouser_websocket._payload import Payload
from protouser_websocket._protocol import DEFAULT_LIMIT
from protouser_websocket._upgrade import upgrade
from protouser_websocket._wire import Wire

__all__ = ["WebSocketClient"]

_PORTS = {"ws": 80, "wss": 443}


class WebSocketClient(ProtocolClient):
    """A connection to ``ws://host:port/path?query`` or ``wss://...`` (RFC 6455).

    A ``str`` is a text message and ``bytes`` are a binary one, both ways. Pings are answered
    whatever the user does. A user name and password in the URL are sent as basic authentication.

    Options: ``headers`` (a dict, or a list of "Name: value"), ``subprotocols`` (the best first;
    one must be agreed upon), ``origin``, ``cookies`` (a dict), ``max_size`` of a received message
    in bytes, ``timeout`` and ``connect_timeout`` in seconds; for TLS ``verify``, ``ca_file``,
    ``cert``, ``key`` and ``server_name``. After ``close`` the next call connects anew.

    Attributes:
        subprotocol: what was agreed upon; None without.
        response_headers: those of the server's answer to the upgrade, names in lower case.
    """

    protocol = "ws"
    schemes = ("ws", "wss")
    option_names = frozenset(
        {
            "headers",
            "subprotocols",
            "origin",
            "cookies",
            "max_size",
            "connect_timeout",
            "verify",
            "ca_file",
            "cert",
            "key",
            "server_name",
        }
    )

    def __init__(self, url: str | Url, **options: Any) -> None:
        super().__init__(url, **options)
        self._opening = Opening.of(
            self.url,
            target_of(url, self.url),
            default_port=_PORTS[self.url.scheme],
            headers=self.options.get("headers"),
            subprotocols=self.options.get("subprotocols"),
            origin=self.options.get("origin"),
            cookies=self.options.get("cookies"),
        )
        self._limit = _size(self.options.get("max_size", DEFAULT_LIMIT))
        self._connect_timeout = _seconds(self.options.get("connect_timeout", self.timeout))
        self._tls = self._tls_options() if self.url.scheme == "wss" else None
        self._connection: Connection | None = None
        self._reconnecting = BoundedSemaphore()
        self.subprotocol: str | None = None
        self.response_headers: Mapping[str, str] = {}

    def connect(self) -> None:
        deadline = Deadline(self._connect_timeout)
        wire = self._open_wire(deadline)
        self.resources.callback(wire.close)
        answer, self.subprotocol = upgrade(wire, self._opening, deadline)
        self.response_headers = answer.headers
        assert self.connecting is not None
        self.connecting.mark("upgrade")
        self._connection = Connection(wire, limit=self._limit)
        self.resources.callback(self._connection.close)

    def request(
        self,
        payload: Payload,
        *,
        match: Match | None = None,
        name: str = "request",
        timeout: float | None = None,
        check: Any = None,
        context: dict[str, Any] | None = None,
        catch_response: bool = False,
    ) -> Any:
        """Send a message and return the one that answers it: one sample, from send to arrival.

        That is the next message that arrives for which ``match`` is true; the next of all without.
        Others are kept for ``receive``. ``match`` must not block. With ``catch_response`` the
        finished call.

        Raises:
            CallTimeout: no reply within ``timeout`` seconds (the client's where None).
            ConnectionLost: the connection ended first.
            MalformedMessage: the server broke the protocol.
        """
        if self._connection is None or self._connection.over:
            self._connect_anew()
        limit = self.timeout if timeout is None else timeout
        return self.perform(
            name,
            lambda call: self._current().exchange(call, limit, match),
            request=payload,
            check=check,
            context=context,
            catch_response=catch_response,
        )

    def send(
        self,
        payload: Payload,
        *,
        name: str = "send",
        timeout: float | None = None,
        check: Any = None,
        context: dict[str, Any] | None = None,
        catch_response: bool = False,
    ) -> Any:
        """Send a message that has no reply; counted, without a response time.

        Raises:
            CallTimeout: the server did not take it within ``timeout`` seconds.
            ConnectionLost: the connection ended first.
        """
        if self._connection is None or self._connection.over:
            self._connect_anew()
        limit = self.timeout if timeout is None else timeout
        return self.perform(
            name,
            lambda call: self._current().send(call, limit),
            request=payload,
            check=check,
            context=context,
            catch_response=catch_response,
            one_way=True,
        )

    def receive(
        self,
        *,
        match: Match | None = None,
        name: str = "receive",
        timeout: float | None = None,
        check: Any = None,
        context: dict[str, Any] | None = None,
        catch_response: bool = False,
    ) -> Any:
        """The next message that the server sends on its own; counted, without a response time.

        The next for which ``match`` is true, where given; others are kept, in their order. How
        long it was waited for is the series "wait".

        Raises:
            CallTimeout: none came within ``timeout`` seconds.
            ConnectionLost: the connection ended first.
        """
        if self._connection is None or self._connection.told:
            self._connect_anew()
        limit = self.timeout if timeout is None else timeout
        return self.perform(
            name,
            lambda call: self._current().receive(call, limit, match),
            check=check,
            context=context,
            catch_response=catch_response,
            one_way=True,
        )

    def ping(
        self,
        *,
        name: str = "ping",
        timeout: float | None = None,
        check: Any = None,
        context: dict[str, Any] | None = None,
        catch_response: bool = False,
    ) -> Any:
        """Send a ping and wait for its pong: one sample.

        Raises:
            CallTimeout: no pong within ``timeout`` seconds.
            ConnectionLost: the connection ended first.
        """
        if self._connection is None or self._connection.over:
            self._connect_anew()
        limit = self.timeout if timeout is None else timeout
        return self.perform(
            name,
            lambda call: self._current().ping(call, limit),
            check=check,
            context=context,
            catch_response=catch_response,
        )

    def _current(self) -> Connection:
        assert self._connection is not None
        return self._connection

    def _connect_anew(self) -> None:
        """Connect, unless another greenlet does just that."""
        connection = self._connection
        with self._reconnecting:
            if self._connection is connection:
                self.reopen()

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

    def _tls_options(self) -> TlsOptions:
        given = self.options
        return TlsOptions(
            verify=given.get("verify", True),
            ca_file=given.get("ca_file"),
            cert=given.get("cert"),
            key=given.get("key"),
            server_name=given.get("server_name"),
        )

    def _open_wire(self, deadline: Deadline) -> Wire:
        assert self.connecting is not None
        assert self.url.port is not None
        peer = str(self.url)
        sock = open_stream(
            self.url.host,
            self.url.port,
            timeout=deadline,
            tls=self._tls,
            peer=peer,
            mark=self.connecting.mark,
        )
        return Wire(sock, peer)


def _seconds(value: Any) -> float | None:
    if value is None or (isinstance(value, int | float) and value > 0):
        return value
    raise ConfigurationError(f"connect_timeout={value!r} is no number of seconds above 0")


def _size(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ConfigurationError(f"max_size={value!r} is no number of bytes above 0")
