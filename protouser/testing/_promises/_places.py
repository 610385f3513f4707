"""Where a client can be sent instead of its backend: nobody, silence, a line that gets cut.

A place is on the machine of the backend and has the backend's URL but for the port (or the path of
a Unix socket), so that credentials and certificates still fit. The sockets are native and the line
is carried by a native thread: a client that blocks gevent's hub must not stop the place that is to
convict it.
"""

from __future__ import annotations

import os
import select
import socket
from _socket import socket as RawSocket
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from gevent.monkey import get_original

from protouser._executors._native import start_thread
from protouser.testing._promises._belongings import settles

__all__ = ["Line", "Place", "Silence"]

_LOOK_AGAIN_MS = 20
_CHUNK = 65536


class Place:
    """An address that is taken and where nobody listens, as a context manager.

    Attributes:
        url: how a client is sent there.
        host: the part of ``url`` that a message must contain to name the place.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname:
            self.family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
            self.backend: Any = (parts.hostname, parts.port)
            wanted: Any = (parts.hostname, 0)
        else:
            self.family = socket.AF_UNIX
            self.backend = parts.path
            wanted = f"{parts.path}.{type(self).__name__.lower()}"
        self.socket = RawSocket(self.family, socket.SOCK_STREAM)
        self._bind(wanted, url)
        self.url, self.host = self._names(url)

    def close(self) -> None:
        """Give the address back."""
        self.socket.close()
        if self.family == socket.AF_UNIX:
            os.unlink(self.host)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _bind(self, address: Any, url: str) -> None:
        try:
            self.socket.bind(address)
        except OSError as error:
            self.socket.close()
            raise AssertionError(
                f"no address beside that of the backend ({error}); the contract sends clients to"
                " such addresses, so start the backend on this machine, best on 127.0.0.1"
            ) from error

    def _names(self, url: str) -> tuple[str, str]:
        address = self.socket.getsockname()
        parts = urlsplit(url)
        if self.family == socket.AF_UNIX:
            return f"{parts.scheme}://{address}", address
        credentials, at, place = parts.netloc.rpartition("@")
        host = place.rpartition(":")[0] if parts.port is not None else place
        netloc = f"{credentials}{at}{host}:{address[1]}"
        return parts._replace(netloc=netloc).geturl(), f"{host}:{address[1]}"


class Silence(Place):
    """Takes connections and datagrams, and never says a word."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.socket.listen(16)
        self.socket.setblocking(False)
        self._datagrams: RawSocket | None = None
        if self.family != socket.AF_UNIX:
            self._datagrams = RawSocket(self.family, socket.SOCK_DGRAM)
            self._datagrams.bind(self.socket.getsockname())
            self._datagrams.setblocking(False)

    def visited(self) -> bool:
        """Whether somebody has connected, or sent a datagram."""
        with suppress(BlockingIOError):
            _accept(self.socket).close()
            return True
        with suppress(BlockingIOError):
            return self._datagrams is not None and bool(self._datagrams.recv(1))
        return False

    def close(self) -> None:
        """Give the address back."""
        if self._datagrams is not None:
            self._datagrams.close()
        super().close()


class Line(Place):
    """A line to the backend that can be cut, as often as you like; new connections go through."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.socket.listen(16)
        self.socket.setblocking(False)
        self._others: dict[int, tuple[RawSocket, RawSocket]] = {}
        self._cut = self._closing = self._closed = False
        self._poll = get_original("select", "poll")()
        self._poll.register(self.socket.fileno(), select.POLLIN)
        start_thread(self._carry)

    def cut(self) -> None:
        """End every connection in an orderly way, as a server does that shuts down."""
        self._cut = True
        settles(lambda: not self._cut, 5)

    def close(self) -> None:
        """Hang up, and give the address back."""
        self._closing = True
        settles(lambda: self._closed, 5)
        super().close()

    def _carry(self) -> None:
        while not self._closing:
            for descriptor, _ in self._poll.poll(_LOOK_AGAIN_MS):
                if descriptor == self.socket.fileno():
                    self._connect()
                elif descriptor in self._others:
                    self._pass_on(*self._others[descriptor])
            if self._cut:
                self._hang_up()
                self._cut = False
        self._hang_up()
        self._closed = True

    def _connect(self) -> None:
        near, far = _accept(self.socket), RawSocket(self.family, socket.SOCK_STREAM)
        near.setblocking(True)
        try:
            far.connect(self.backend)
        except OSError:
            near.close()
            far.close()
            return
        for source, sink in ((near, far), (far, near)):
            self._others[source.fileno()] = (source, sink)
            self._poll.register(source.fileno(), select.POLLIN)

    def _pass_on(self, source: RawSocket, sink: RawSocket) -> None:
        data = b""
        with suppress(OSError):
            data = source.recv(_CHUNK)
            sink.sendall(data)
        if not data:
            self._drop(source, sink)

    def _hang_up(self) -> None:
        for source, sink in list(self._others.values()):
            self._drop(source, sink)

    def _drop(self, *ends: RawSocket) -> None:
        for end in ends:
            if self._others.pop(end.fileno(), None):
                self._poll.unregister(end.fileno())
                end.close()


def _accept(listener: RawSocket) -> RawSocket:
    descriptor, _ = listener._accept()  # type: ignore[attr-defined]
    return RawSocket(fileno=descriptor)
