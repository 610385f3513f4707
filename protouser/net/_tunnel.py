"""Connect through a proxy: dial it, have it connect to the server, hand over the socket.

From then on the socket is that of the server: nothing that comes after the proxy's answer has been
read. With HTTP that takes a look before each read (``MSG_PEEK``), since the server's first bytes
may follow the answer at once, and a raw socket takes nothing back.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from protouser._errors import ConfigurationError, ConnectFailed
from protouser._proxy import Proxy
from protouser.net._deadline import Deadline, Mark, ignore
from protouser.net._dial import DEFAULTS, RawSocket, dial, wait_readable, wait_writable
from protouser.net._options import SocketOptions
from protouser.net._socks import ask_socks

__all__ = ["dial_through", "refused_by_proxy"]

_LONGEST_HEAD: Final = 65_536
_LONGEST_EXCERPT: Final = 100
_STATUS: Final = re.compile(r"HTTP/1\.\d ([1-5]\d\d)(?: (.*))?")
_REMEDIES: Final = {
    403: "it does not allow this server, or this port",
    405: "does it allow CONNECT?",
}
#: What proxies answer to wrong credentials; tinyproxy says the first.
_ABOUT_CREDENTIALS: Final = (401, 407)


def dial_through(
    proxy: Proxy | None,
    host: str,
    port: int,
    *,
    timeout: float | Deadline | None,
    peer: str = "",
    mark: Mark = ignore,
    options: SocketOptions = DEFAULTS,
) -> RawSocket:
    """As ``dial``, through a proxy where there is one.

    The phases ``dns`` and ``tcp`` are then those of the proxy; after them the phase ``proxy`` ends
    when it has connected to the server.

    Raises:
        ConnectFailed: the proxy cannot be reached, refuses, or cannot reach the server, or all this
            was not done within ``timeout`` seconds.
    """
    if proxy is None:
        return dial(host, port, timeout=timeout, peer=peer, mark=mark, options=options)
    if not 0 < port < 65536:
        raise ConfigurationError(f"port {port} of {host!r} is not between 1 and 65535")
    peer = peer or f"tcp://{host}:{port}"
    deadline = timeout if isinstance(timeout, Deadline) else Deadline(timeout)
    place, name = (proxy.host, proxy.port), str(proxy)
    sock = dial(*place, timeout=deadline, peer=name, mark=mark, options=options)
    try:
        ask = ask_socks if proxy.is_socks else _ask_http
        sock = ask(proxy, sock, host, port, deadline, peer)
    except TimeoutError:
        sock.close()
        raise ConnectFailed(f"{proxy} did not connect to {peer} within {deadline}") from None
    except BaseException:
        sock.close()
        raise
    mark("proxy")
    return sock


def _ask_http(
    proxy: Proxy, sock: RawSocket, host: str, port: int, deadline: Deadline, peer: str
) -> RawSocket:
    """Ask for a tunnel (RFC 9110, section 9.3.6)."""
    try:
        _send(sock, _request(proxy, host, port), deadline)
        head = _read_head(proxy, sock, deadline)
    except (ConnectionError, BrokenPipeError):
        raise ConnectFailed(f"{proxy} closed the connection instead of answering") from None
    status, reason = _status(proxy, head)
    if not 200 <= status < 300:
        raise refused_by_proxy(proxy, status, reason, peer=peer, ways=_ways(head))
    return sock


def _request(proxy: Proxy, host: str, port: int) -> bytes:
    name = f"[{host}]" if ":" in host else host
    with suppress(UnicodeError):
        name = name if name.isascii() else name.encode("idna").decode()
    lines = [f"CONNECT {name}:{port} HTTP/1.1", f"Host: {name}:{port}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "\r\n".join((*lines, "", "")).encode()


def _send(sock: RawSocket, data: bytes, deadline: Deadline) -> None:
    while data:
        try:
            data = data[sock.send(data) :]
        except BlockingIOError:
            wait_writable(sock, deadline)


def _read_head(proxy: Proxy, sock: RawSocket, deadline: Deadline) -> bytes:
    """The answer up to its empty line, and nothing of what follows."""
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) > _LONGEST_HEAD:
            raise ConnectFailed(f"{proxy} answered with endless headers")
        wait_readable(sock, deadline)
        try:
            seen = sock.recv(_LONGEST_HEAD, socket.MSG_PEEK)
        except BlockingIOError:
            continue
        if not seen:
            raise ConnectionError
        end = (head + seen).find(b"\r\n\r\n")
        head += sock.recv(len(seen) if end < 0 else end + 4 - len(head))
        if not b"HTTP/1.".startswith(head[:7]):
            raise _not_http(proxy, head)
    return head


def _status(proxy: Proxy, head: bytes) -> tuple[int, str]:
    first = head.split(b"\r\n", 1)[0].decode("latin-1")
    found = _STATUS.fullmatch(first)
    if found is None:
        raise _not_http(proxy, head)
    return int(found[1]), (found[2] or "").strip()


def _not_http(proxy: Proxy, data: bytes) -> ConnectFailed:
    if data[:1] in (b"\x05", b"\x00"):
        return ConnectFailed(f"{proxy} does not speak HTTP; is it one of SOCKS? write socks5://")
    if data[:2] == b"\x15\x03":
        return ConnectFailed(f"{proxy} answers in TLS, which is not supported to the proxy itself")
    first = data.split(b"\n", 1)[0].decode("latin-1").strip()
    return ConnectFailed(f"{proxy} answered something else than HTTP: {_excerpt(first)!r}")


def refused_by_proxy(
    proxy: Proxy, status: int, reason: str = "", *, peer: str, ways: Sequence[str] = ()
) -> ConnectFailed:
    """What the HTTP status means that a proxy answered when it was asked for ``peer``.

    ``ways`` are those of authentication that it asks for, if it says so.
    """
    answer = f"answered {status} {_excerpt(reason)}".rstrip()
    if status in _ABOUT_CREDENTIALS:
        return ConnectFailed(f"{proxy} {answer}; {_about_credentials(proxy, ways)}")
    remedy = _REMEDIES.get(status, "is it a proxy, and does it allow CONNECT?")
    if status >= 500:
        remedy = "it cannot reach the server; is that running there?"
    return ConnectFailed(f"{proxy} {answer} when asked for {peer}; {remedy}")


def _ways(head: bytes) -> list[str]:
    found = re.findall(rb"(?mi)^(?:proxy|www)-authenticate: *([a-z]+)", head)
    return [word.decode().lower() for word in found]


def _about_credentials(proxy: Proxy, ways: Sequence[str]) -> str:
    if ways and "basic" not in ways:
        return f"it asks for {', '.join(ways)} authentication, and only basic is supported"
    if proxy.url.username is None:
        return "it asks for a user name and password: http://user:password@host:port"
    return "it does not accept this user name and password"


def _excerpt(text: str) -> str:
    return text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT]}..."
