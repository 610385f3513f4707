"""The TCP client: messages over one connection, replies matched to requests by their order.

A reply that comes after its request was given up would be taken for the reply of the next. So a
connection whose request timed out, was killed or failed is closed, and the next call connects
anew, as a row "connect" of its own. An orderly end that nobody was waiting through is no failure
of anybody: the next call connects anew as well. Any other end is told to one call at least.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from gevent.lock import BoundedSemaphore

from protouser import (
    Call,
    CallTimeout,
    ConfigurationError,
    MalformedMessage,
    ProtocolClient,
    ProtocolUser,
    ProtouserError,
    Url,
    now,
)
from protouser.net import HubSocket, TlsOptions, open_socket, open_unix_socket
from protouser_socket._connection import Connection
from protouser_socket._framing import Framing, lines

__all__ = ["TcpClient", "TcpUser"]

Payload = bytes | bytearray | memoryview | str


class TcpClient(ProtocolClient):
    """A connection to a ``tcp://host:port``, ``tls://host:port`` or ``unix:///path``.

    Options: ``framing`` (how messages are cut, ``lines()`` by default), ``timeout`` and
    ``connect_timeout`` in seconds; for TLS ``verify``, ``ca_file``, ``cert``, ``key`` and
    ``server_name``. After ``close`` the next call connects anew.
    """

    protocol = "tcp"
    schemes = ("tcp", "tls", "unix")
    option_names = frozenset(
        {
            "framing",
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
        self._tls = self._tls_options() if self.url.scheme == "tls" else None
        self._connection: Connection | None = None
        self._opening = BoundedSemaphore()

    def connect(self) -> None:
        connection = Connection(self._framing.decoder(), str(self.url))
        connection.socket = self._open_socket(connection)
        self.resources.callback(connection.close)
        self._connection = connection

    def request(
        self,
        payload: Payload,
        *,
        name: str = "request",
        timeout: float | None = None,
        check: Any = None,
        context: dict[str, Any] | None = None,
        catch_response: bool = False,
    ) -> Any:
        """Send a message and return the next one that comes: one sample, from send to arrival.

        A ``str`` is sent as UTF-8. Several greenlets may have requests under way; replies are
        expected in the order of the requests. With ``catch_response`` the finished call.

        Raises:
            CallTimeout: no reply within ``timeout`` seconds (the client's where None).
            ConnectionLost: the connection ended first.
            MalformedMessage: what came is no reply.
        """
        if self._connection is None or self._connection.over:
            self._connect_anew()
        return self.perform(
            name,
            self._exchange if timeout is None else partial(self._exchange, timeout=timeout),
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
        return self.perform(
            name,
            self._send if timeout is None else partial(self._send, timeout=timeout),
            request=payload,
            check=check,
            context=context,
            catch_response=catch_response,
            one_way=True,
        )

    def receive(
        self,
        *,
        name: str = "receive",
        timeout: float | None = None,
        check: Any = None,
        context: dict[str, Any] | None = None,
        catch_response: bool = False,
    ) -> Any:
        """The next message that the server sends on its own; counted, without a response time.

        How long it was waited for is the series "wait".

        Raises:
            CallTimeout: none came within ``timeout`` seconds.
            ConnectionLost: the connection ended first.
        """
        if self._connection is None or self._connection.told:
            self._connect_anew()
        return self.perform(
            name,
            self._receive if timeout is None else partial(self._receive, timeout=timeout),
            check=check,
            context=context,
            catch_response=catch_response,
            one_way=True,
        )

    def _exchange(self, call: Call, timeout: float | None = None) -> bytes:
        connection = self._connection
        assert connection is not None
        frame = self._encode(call)
        if timeout is None:
            timeout = self.timeout
        began = now()
        try:
            connection.socket.send(frame, timeout)
            message, at, _ = connection.inbox.get(timeout, began, "reply")
            if at < began:
                raise MalformedMessage(
                    "a message was there before the request was sent; what the server sends on"
                    " its own is read with receive()"
                )
        except BaseException:
            connection.abandon()
            raise
        call.stop(at)
        return message

    def _send(self, call: Call, timeout: float | None = None) -> None:
        connection = self._connection
        assert connection is not None
        frame = self._encode(call)
        try:
            connection.socket.send(frame, self.timeout if timeout is None else timeout)
        except ProtouserError:
            if connection.socket.closed:
                connection.tell()
            raise

    def _receive(self, call: Call, timeout: float | None = None) -> bytes:
        connection = self._connection
        assert connection is not None
        try:
            message, at, waited = connection.inbox.get(self.timeout if timeout is None else timeout)
        except CallTimeout:
            raise
        except ProtouserError:
            connection.tell()
            raise
        if waited:
            call.mark("wait", at)
            call.stop(at)
        return message

    def _encode(self, call: Call) -> bytes:
        payload = call.request
        if type(payload) is not bytes:
            payload = _as_bytes(payload)
        call.request_length = len(payload)
        return self._framing.encode(payload)

    def _connect_anew(self) -> None:
        """Connect, unless another greenlet does just that."""
        connection = self._connection
        with self._opening:
            if self._connection is connection:
                self.reopen()

    def _tls_options(self) -> TlsOptions:
        given = self.options
        return TlsOptions(
            verify=given.get("verify", True),
            ca_file=given.get("ca_file"),
            cert=given.get("cert"),
            key=given.get("key"),
            server_name=given.get("server_name"),
        )

    def _open_socket(self, receiver: Connection) -> HubSocket:
        timeout = self.options.get("connect_timeout", self.timeout)
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


def _as_bytes(payload: Any) -> bytes:
    if isinstance(payload, str):
        return payload.encode()
    if isinstance(payload, bytearray | memoryview):
        return bytes(payload)
    raise ConfigurationError(f"a payload is bytes or str, not {type(payload).__name__}")
