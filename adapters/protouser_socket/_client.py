"""The TCP client: messages over one connection, replies matched to requests by their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from protouser import (
    ConfigurationError,
    ConnectionLost,
    MessageClient,
    ProtocolClient,
    ProtocolUser,
    Url,
)
from protouser.net import (
    HubSocket,
    Proxy,
    SocketOptions,
    TlsOptions,
    TlsSocket,
    open_socket,
    open_unix_socket,
)
from protouser_socket._address import complete
from protouser_socket._connection import Connection
from protouser_socket._framing import Framing, lines
from protouser_socket._use import PER_ITERATION, Use, connection_for

__all__ = ["TcpClient", "TcpUser"]

_OF_TCP = frozenset({"tcp_nodelay", "tcp_keepalive", "linger", "local_address"})


class TcpClient(MessageClient[Connection]):
    """A connection to a ``tcp://host:port``, ``tls://host:port`` or ``unix:///path``.

    Options: ``framing`` (how messages are cut, ``lines()`` by default), ``timeout`` and
    ``connect_timeout`` in seconds; ``connection``, how long one is kept ("per_user" by default,
    "per_iteration" or "per_request"); ``half_close``, to end the sending side after each request;
    ``proxy`` and ``no_proxy``; those of ``SocketOptions``; for TLS ``verify``, ``ca_file``,
    ``cert``, ``key``, ``server_name`` and ``alpn``. After ``close`` the next call connects anew.
    Several greenlets may have requests under way; replies are expected in the order of the
    requests.
    """

    protocol = "tcp"
    schemes = ("tcp", "tls", "unix")
    option_names = (
        MessageClient.common_options
        | TlsOptions.NAMES
        | Proxy.NAMES
        | SocketOptions.NAMES
        | {"framing", "connection", "half_close", "alpn"}
    )

    @classmethod
    def parse_url(cls, url: str | Url) -> Url:
        return complete(super().parse_url(url))

    def __init__(self, url: str | Url, **options: Any) -> None:
        super().__init__(url, **options)
        if self.url.scheme == "unix":
            for name in sorted(_OF_TCP & self.options.keys()):
                raise ConfigurationError(f"a Unix socket has no {name}; leave it out")
        self._framing = _framing(self.options)
        is_tls = self.url.scheme == "tls"
        self._tls = TlsOptions.of(self.options, _alpn(self.options)) if is_tls else None
        self._socket_options = SocketOptions.of(self.options)
        self._use = Use.of(self.options)
        if self._use.kept == PER_ITERATION and self.user is None:
            raise ConfigurationError('connection="per_iteration" is for a user with tasks')

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        _framing(options)
        _alpn(options)
        Use.of(options)
        SocketOptions.of(options)

    @property
    def alpn(self) -> str | None:
        """The application protocol that TLS agreed upon; None where it did not, or is not used."""
        socket = None if self.connection is None else self.connection.socket
        return socket.alpn if isinstance(socket, TlsSocket) else None

    def shutdown_send(self) -> None:
        """Tell the server that nothing more will be sent on this connection; receiving goes on.

        For servers that answer when they have read all. The next ``request`` or ``send`` connects
        anew.

        Raises:
            ConnectionLost: there is no connection.
        """
        if self.connection is None:
            raise ConnectionLost(f"the client of {self.url} is not connected")
        self.connection.shutdown_send()

    def connect(self) -> None:
        connection = connection_for(self._use, self._framing, str(self.url))
        connection.start(self._open_socket(connection))
        self.resources.callback(connection.close)
        if self._use.kept == PER_ITERATION:
            self.after_task(connection.close)
        self.connection = connection

    def _open_socket(self, receiver: Connection) -> HubSocket:
        timeout = self.connect_timeout
        assert self.connecting is not None
        mark = self.connecting.mark
        if self.url.scheme == "unix":
            return open_unix_socket(
                receiver, self.url.path, timeout=timeout, mark=mark, options=self._socket_options
            )
        assert self.url.port is not None
        return open_socket(
            receiver,
            self.url.host,
            self.url.port,
            timeout=timeout,
            tls=self._tls,
            proxy=self.proxy,
            peer=str(self.url),
            mark=mark,
            options=self._socket_options,
        )


def _framing(options: Mapping[str, Any]) -> Framing:
    framing = options.get("framing") or lines()
    if not isinstance(framing, Framing):
        raise ConfigurationError(f"framing={framing!r}; it is made by lines() and its like")
    return framing


def _alpn(options: Mapping[str, Any]) -> tuple[str, ...]:
    given = options.get("alpn", ())
    alpn = (given,) if isinstance(given, str) else given
    names = isinstance(alpn, tuple | list) and all(isinstance(name, str) for name in alpn)
    if not names or not all(name.isascii() and 0 < len(name) < 256 for name in alpn):
        raise ConfigurationError(f'alpn={given!r}; it is names such as "h2", or several')
    return tuple(alpn)


class TcpUser(ProtocolUser):
    """A user of a server that speaks messages over TCP, TLS or a Unix socket.

    Attributes:
        framing: how messages are cut.
        client: the ``TcpClient`` of ``host``.
    """

    abstract = True
    client_class: ClassVar[type[ProtocolClient] | None] = TcpClient
    framing: Framing = lines()
    client: TcpClient
