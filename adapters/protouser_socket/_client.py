"""The TCP client: messages over one connection, replies matched to requests by their order."""

from __future__ import annotations

from typing import Any, ClassVar

from protouser import ConfigurationError, MessageClient, ProtocolClient, ProtocolUser, Url
from protouser.net import HubSocket, TlsOptions, open_socket, open_unix_socket
from protouser_socket._connection import Connection
from protouser_socket._framing import Framing, lines

__all__ = ["TcpClient", "TcpUser"]


class TcpClient(MessageClient[Connection]):
    """A connection to a ``tcp://host:port``, ``tls://host:port`` or ``unix:///path``.

    Options: ``framing`` (how messages are cut, ``lines()`` by default), ``timeout`` and
    ``connect_timeout`` in seconds; for TLS ``verify``, ``ca_file``, ``cert``, ``key`` and
    ``server_name``. After ``close`` the next call connects anew. Several greenlets may have
    requests under way; replies are expected in the order of the requests.
    """

    protocol = "tcp"
    schemes = ("tcp", "tls", "unix")
    option_names = TlsOptions.NAMES | {"framing", "connect_timeout"}

    def __init__(self, url: str | Url, **options: Any) -> None:
        super().__init__(url, **options)
        if self.url.scheme == "unix":
            if not self.url.path:
                raise ConfigurationError(f"{self.url} names no path; write unix:///path")
        elif self.url.port is None:
            raise ConfigurationError(f"{self.url} names no port; write {self.url}:7000")
        self._framing: Framing = self.options.get("framing") or lines()
        if not isinstance(self._framing, Framing):
            raise ConfigurationError(
                f"framing={self._framing!r}; it is made by lines() and its like"
            )
        self._tls = TlsOptions.of(self.options) if self.url.scheme == "tls" else None

    def connect(self) -> None:
        connection = Connection(self._framing, str(self.url))
        connection.socket = self._open_socket(connection)
        self.resources.callback(connection.close)
        self.connection = connection

    def _open_socket(self, receiver: Connection) -> HubSocket:
        timeout = self.connect_timeout
        assert self.connecting is not None
        mark = self.connecting.mark
        if self.url.scheme == "unix":
            return open_unix_socket(receiver, self.url.path, timeout=timeout, mark=mark)
        assert self.url.port is not None
        return open_socket(
            receiver,
            self.url.host,
            self.url.port,
            timeout=timeout,
            tls=self._tls,
            peer=str(self.url),
            mark=mark,
        )


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
