"""A proxy of HTTP on this machine that goes through another one: for libraries without SOCKS.

It lives in the process of the users and copies every byte in Python, which costs about as much as a
small call; so it is for what cannot do without. Who asks for a tunnel must know a word that only
this process knows: else any program of this machine could use the proxy behind.
"""

from __future__ import annotations

import re
import secrets
import socket
from contextlib import suppress
from typing import Any, Final

import gevent
import gevent.socket
from gevent.pool import Pool
from gevent.server import StreamServer

from protouser._errors import ProtouserError
from protouser._proxy import Proxy
from protouser._url import Url
from protouser.net._tunnel import dial_through

__all__ = ["ProxyBridge"]

_CHUNK: Final = 65_536
_LONGEST_HEAD: Final = 8_192
_CONNECT_WITHIN: Final = 30.0
_REQUEST: Final = re.compile(rb"CONNECT \[?([^\s\]]+?)\]?:(\d+) HTTP/1\.\d\r\n")


class ProxyBridge:
    """Listens from construction until ``close``, which ends its tunnels as well.

    Args:
        behind: the proxy to go through.
        peer: how messages name the server.

    Attributes:
        proxy: how a library reaches this one.
        failure: why the last tunnel could not be made; None when it could.
    """

    def __init__(self, behind: Proxy, peer: str) -> None:
        self._behind = behind
        self._peer = peer
        self._tunnels = Pool()
        self._server = StreamServer(("127.0.0.1", 0), self._serve, spawn=self._tunnels)
        self._server.start()
        word = secrets.token_hex(16)
        self.proxy = Proxy(Url("http", "127.0.0.1", self._server.server_port, "", "bridge", word))
        self.failure: ProtouserError | None = None

    def close(self) -> None:
        """Listen no more and end every tunnel; never waits. Safe to call twice."""
        self._server.close()
        self._tunnels.kill(block=False)

    def _serve(self, client: Any, _address: Any) -> None:
        with client, suppress(OSError):
            head = _read_head(client)
            asked = _REQUEST.match(head)
            if asked is None or (self.proxy.authorization or "").encode() not in head:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            server = self._dialled(asked[1].decode(), int(asked[2]))
            if server is None:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                return
            with server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                self._copy_both(client, server)

    def _dialled(self, host: str, port: int) -> Any:
        self.failure = None
        try:
            raw = dial_through(self._behind, host, port, timeout=_CONNECT_WITHIN, peer=self._peer)
        except ProtouserError as error:
            self.failure = error
            return None
        return gevent.socket.socket(raw.family, raw.type, raw.proto, fileno=raw.detach())

    def _copy_both(self, client: Any, server: Any) -> None:
        back = gevent.spawn(_copy, server, client)
        try:
            _copy(client, server)
            back.join()
        finally:
            back.kill(block=False)


def _read_head(sock: Any) -> bytes:
    """What a client says before it waits for the answer."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _LONGEST_HEAD:
        data = sock.recv(_CHUNK)
        if not data:
            break
        head += data
    return head


def _copy(source: Any, target: Any) -> None:
    """Pass on what comes until its end, and the end as well."""
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
