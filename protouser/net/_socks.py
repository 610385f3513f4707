"""SOCKS 4 and 5 on a dialled socket, in the words of the library python-socks.

The library is given our connected socket in place of a proxy before its own; so dialling, phases
and time limits stay ours, and it waits through gevent.
"""

from __future__ import annotations

import socket
from typing import Any, Final

import gevent
import gevent.socket

from protouser._errors import ConfigurationError, ConnectFailed
from protouser._proxy import Proxy
from protouser.net._deadline import Deadline, ignore
from protouser.net._dial import DEFAULTS, RawSocket
from protouser.net._resolve import resolve

__all__ = ["ask_socks"]

#: How the library's texts begin, and what they mean to a tester.
_AUTHENTICATION: Final = ("Username and password authentication failure", "Invalid authentication")
_CREDENTIALS_WANTED: Final = ("No acceptable authentication",)
_NOT_SOCKS: Final = ("Unexpected SOCKS version", "Malformed")


def ask_socks(
    proxy: Proxy, sock: RawSocket, host: str, port: int, deadline: Deadline, peer: str
) -> RawSocket:
    """Have a connected SOCKS proxy connect to the server; the socket, to be used from now on.

    Raises:
        ConnectFailed: it refuses, or is no SOCKS proxy.
        TimeoutError: not by the deadline.
    """
    name = (
        host
        if proxy.url.scheme in ("socks4a", "socks5h")
        else _address(proxy, host, port, deadline)
    )
    there = gevent.socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    limit = gevent.Timeout.start_new(deadline.left())
    try:
        _negotiate(proxy, there, name, port, peer)
    except gevent.Timeout as expired:
        there.close()
        if expired is not limit:
            raise
        raise TimeoutError from None
    except BaseException:
        there.close()
        raise
    finally:
        limit.close()
    raw = RawSocket(sock.family, sock.type, sock.proto, there.detach())
    raw.setblocking(False)
    return raw


def _address(proxy: Proxy, host: str, port: int, deadline: Deadline) -> str:
    """The address of a host, which socks4:// and socks5:// have looked up on this side."""
    found = resolve(host, port, deadline, host, ttl=DEFAULTS.dns_ttl, mark=ignore)
    if proxy.url.scheme == "socks4":
        found = [each for each in found if each[0] == socket.AF_INET]
    if not found:
        raise ConfigurationError(f"{proxy}: SOCKS 4 reaches IPv4 only, and {host!r} has none")
    return str(found[0][1][0])


class _Dialled:
    """Stands where the library wants a proxy to connect through: the socket is there already."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def connect(self, **_where: Any) -> Any:
        return self._sock


def _negotiate(proxy: Proxy, sock: Any, host: str, port: int, peer: str) -> None:
    from python_socks import ProxyError, ProxyType  # the extra "socks"
    from python_socks.sync import Proxy as Library

    url = proxy.url
    library = Library(
        ProxyType.SOCKS4 if url.scheme.startswith("socks4") else ProxyType.SOCKS5,
        proxy.host,
        proxy.port,
        url.username,
        url.password,
        rdns=True,
        forward=_Dialled(sock),  # type: ignore[arg-type]
    )
    try:
        library.connect(host, port)
    except ProxyError as error:
        raise _refusal(proxy, error, peer) from None
    except OSError:
        raise ConnectFailed(f"{proxy} closed the connection instead of answering") from None
    except ValueError as error:  # a host name that cannot be sent
        raise ConnectFailed(f"{proxy} cannot be asked for {peer}: {error}") from None


def _refusal(proxy: Proxy, error: Exception, peer: str) -> ConnectFailed:
    text = str(error)
    if text.startswith(_CREDENTIALS_WANTED):
        if proxy.url.username is None:
            advice = "it asks for a user name and password: socks5://user:password@host:port"
        else:
            advice = "it takes other ways of authentication than a user name and password only"
        return ConnectFailed(f"{proxy} refuses: {advice}")
    if text.startswith(_AUTHENTICATION):
        return ConnectFailed(f"{proxy} does not accept this user name and password")
    if text.startswith("Connection closed"):
        return ConnectFailed(f"{proxy} closed the connection; does it speak SOCKS, and which?")
    if text.startswith(_NOT_SOCKS):
        return ConnectFailed(f"{proxy} does not speak SOCKS; is it one of HTTP? write http://")
    return ConnectFailed(f"{proxy} does not connect to {peer}: {text[:1].lower()}{text[1:]}")
