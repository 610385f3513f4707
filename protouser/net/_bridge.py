"""A proxy of HTTP on this machine that goes through another one: for libraries without SOCKS.

It lives in the process of the users and copies every byte in Python, which costs about as much as a
small call; so it is for what cannot do without. Who asks for a tunnel must know a word that only
this process knows: else any program of this machine could use the proxy behind.
"""

from __future__ import annotations

import hmac
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
#: For what a client asks, and for the answer of the proxy behind.
_WITHIN: Final = 30.0
_REQUEST: Final = re.compile(rb"CONNECT \[?([^\s\]]+?)\]?:(\d{1,5}) HTTP/1\.\d\r\n")
_CREDENTIALS: Final = re.compile(rb"(?im)^proxy-authorization:[ \t]*(.*?)[ \t]*\r?$")
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\n\r\n"
_NO_CREDENTIALS: Final = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
    b'Proxy-Authenticate: Basic realm="protouser"\r\n\r\n'
)
_NO_SERVER: Final = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"
_CONNECTED: Final = b"HTTP/1.1 200 OK\r\n\r\n"


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
            head, more = _read_head(client)
            asked = _REQUEST.match(head)
            if asked is None:
                client.sendall(_BAD_REQUEST)
            elif not self._knows_the_word(head):
                client.sendall(_NO_CREDENTIALS)
            else:
                self._connect(client, asked[1].decode("latin-1"), int(asked[2]), more)

    def _knows_the_word(self, head: bytes) -> bool:
        """Whether a request has our credentials, and no others; told in constant time."""
        given = _CREDENTIALS.findall(head)
        wanted = (self.proxy.authorization or "").encode()
        return len(given) == 1 and hmac.compare_digest(given[0], wanted)

    def _connect(self, client: Any, host: str, port: int, more: bytes) -> None:
        server = self._dialled(host, port)
        if server is None:
            client.sendall(_NO_SERVER)
            return
        with server:
            client.sendall(_CONNECTED)
            server.sendall(more)
            self._copy_both(client, server)

    def _dialled(self, host: str, port: int) -> Any:
        self.failure = None
        try:
            raw = dial_through(self._behind, host, port, timeout=_WITHIN, peer=self._peer)
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


def _read_head(sock: Any) -> tuple[bytes, bytes]:
    """What a client asks for, up to an empty line, and what it has sent after that."""
    head = b""
    with gevent.Timeout(_WITHIN, TimeoutError):
        while b"\r\n\r\n" not in head and len(head) < _LONGEST_HEAD:
            data = sock.recv(_CHUNK)
            if not data:
                break
            head += data
    asked, _, more = head.partition(b"\r\n\r\n")
    return asked + b"\r\n", more


def _copy(source: Any, target: Any) -> None:
    """Pass on what comes until its end, and the end as well.

    Nothing more is read while ``target`` takes nothing: who reads slowly slows the other side down.
    """
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
