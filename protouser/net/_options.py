"""What a tester may say of a socket, checked when it is said and applied before it connects."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import socket
import sys
from _socket import socket as RawSocket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import ceil
from struct import pack
from typing import Any, ClassVar, Final, Self

from protouser._errors import ConfigurationError, ConnectFailed

__all__ = ["SocketOptions"]

logger = logging.getLogger(__name__)

#: A name is looked up again after so many seconds: soon enough to follow a service that moves or
#: grows, seldom enough that a thousand users who reconnect do not test the name server instead.
_DNS_TTL = 60.0

#: Linux chooses the local port when it knows the other end, so a port can serve several of them.
_IP_BIND_ADDRESS_NO_PORT: Final = 24

#: macOS calls it TCP_KEEPALIVE.
_TCP_KEEPIDLE: Final[int] = getattr(socket, "TCP_KEEPIDLE", 0x10)

_Place = tuple[IPv4Address | IPv6Address, int]


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """How a socket is set up; what is not said is the system's choice.

    Attributes:
        tcp_nodelay: send small messages at once (RFC 1122, section 4.2.3.4, calls the other way
            Nagle's algorithm).
        tcp_keepalive: have the system ask whether a silent peer is still there; a number of seconds
            says after how long, and how long between two probes.
        linger: 0 resets the connection when it is closed, which leaves no TIME_WAIT behind.
        send_buffer, receive_buffer: bytes that the system is asked for.
        local_address: the address to connect from, ``"10.0.0.7"`` or ``"10.0.0.7:4000"``; of
            several, every connection takes the next one.
        broadcast: datagrams may go to a broadcast address.
        dns_ttl: seconds that the addresses of a name are kept for; 0 asks for each connection.
    """

    tcp_nodelay: bool = True
    tcp_keepalive: bool | float = False
    linger: float | None = None
    send_buffer: int | None = None
    receive_buffer: int | None = None
    local_address: str | Sequence[str] | None = None
    broadcast: bool = False
    dns_ttl: float = _DNS_TTL

    #: The options of a client that ``of`` understands, over TCP and over UDP.
    NAMES: ClassVar[frozenset[str]] = frozenset(
        {
            "tcp_nodelay",
            "tcp_keepalive",
            "linger",
            "send_buffer",
            "receive_buffer",
            "local_address",
            "dns_ttl",
        }
    )
    DATAGRAM_NAMES: ClassVar[frozenset[str]] = frozenset(
        {"send_buffer", "receive_buffer", "local_address", "broadcast", "dns_ttl"}
    )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """What a client's options say of its sockets.

        Raises:
            ConfigurationError: a value is none that the option can have.
        """
        names = (cls.NAMES | cls.DATAGRAM_NAMES) & options.keys()
        return cls(**{name: options[name] for name in names})

    def __post_init__(self) -> None:
        for name, (possible, what) in _POSSIBLE.items():
            if not possible(value := getattr(self, name)):
                raise ConfigurationError(f"{name}={value!r}; it {what}")
        if self.local_address is not None:
            _turns.setdefault(self._places(), itertools.count())

    def prepare(self, sock: RawSocket, peer: str) -> None:
        """Set up a new socket, before it is connected.

        Raises:
            ConnectFailed: it cannot have the local address.
        """
        stream = sock.type & 0xF == socket.SOCK_STREAM
        for name, option in _BUFFERS.items():
            if (size := getattr(self, name)) is not None:
                _set_buffer(sock, name, option, size)
        if sock.family == socket.AF_UNIX:
            return
        if stream:
            self._prepare_tcp(sock)
        elif self.broadcast:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if self.local_address is not None:
            self._bind(sock, peer)

    def _prepare_tcp(self, sock: RawSocket) -> None:
        if self.tcp_nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.linger is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
        if self.tcp_keepalive is False:
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.tcp_keepalive is not True:
            seconds = ceil(self.tcp_keepalive)
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_KEEPIDLE, seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)

    def _bind(self, sock: RawSocket, peer: str) -> None:
        places = self._places()
        version = 6 if sock.family == socket.AF_INET6 else 4
        fitting = [place for place in places if place[0].version == version]
        if not fitting:
            raise ConnectFailed(
                f"cannot connect to {peer}: it has an address of IPv{version}, and local_address"
                " has none"
            )
        address, port = fitting[next(_turns[places]) % len(fitting)]
        if not port and sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        try:
            sock.bind((str(address), port))
        except OSError as error:
            raise ConnectFailed(_not_bound(address, port, error)) from error

    def _places(self) -> tuple[_Place, ...]:
        given = self.local_address
        several = [given] if isinstance(given, str) else given
        if not isinstance(several, Sequence) or not several:
            raise _no_address(given)
        return tuple(_place(each) for each in several)


#: Whose turn it is among several local addresses; each process goes round on its own.
_turns: dict[tuple[_Place, ...], Iterator[int]] = {}

_BUFFERS: Final = {"send_buffer": socket.SO_SNDBUF, "receive_buffer": socket.SO_RCVBUF}
_complained: set[tuple[str, int]] = set()


def _set_buffer(sock: RawSocket, name: str, option: int, size: int) -> None:
    sock.setsockopt(socket.SOL_SOCKET, option, size)
    given = sock.getsockopt(socket.SOL_SOCKET, option)
    if given < size and (name, size) not in _complained:
        _complained.add((name, size))
        limit = "net.core.wmem_max" if option == socket.SO_SNDBUF else "net.core.rmem_max"
        logger.warning("%s=%d: the system gives %d; raise %s", name, size, given // 2, limit)


def _not_bound(address: IPv4Address | IPv6Address, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"local_address {address} is no address of this machine"
    if error.errno == errno.EADDRINUSE:
        remedy = "leave the port out, and every connection gets one of its own"
        return f"local_address {address} has its port {port} in use; {remedy}"
    return f"local_address {address} cannot be used: {os.strerror(error.errno or 0).lower()}"


def _place(given: Any) -> _Place:
    """An address and a port, 0 for any, of ``"10.0.0.7"``, ``"10.0.0.7:4000"`` or ``"[::1]:4"``."""
    host, port = str(given), "0"
    if host.startswith("["):
        host, _, port = host[1:].partition("]")
        port = port.removeprefix(":") or "0"
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    try:
        address, number = ip_address(host), int(port)
    except ValueError:
        address, number = ip_address(0), -1
    if not isinstance(given, str) or not 0 <= number < 65536:
        raise _no_address(given)
    return address, number


def _no_address(given: Any) -> ConfigurationError:
    return ConfigurationError(
        f"local_address={given!r}; it is an IP address of this machine, with :port where it must be"
        " that port, or a list of several"
    )


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_interval(value: Any) -> bool:
    return isinstance(value, bool) or (_is_seconds(value) and 1 <= value <= _LONGEST_INTERVAL)


def _is_reset(value: Any) -> bool:
    return value is None or (_is_seconds(value) and value == 0)


def _is_size(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (whole and 0 < value < 2**31)


#: Linux's own limit of TCP_KEEPIDLE and TCP_KEEPINTVL.
_LONGEST_INTERVAL: Final = 32_767
_FLAG: Final = (_is_flag, "is True or False")
_SIZE: Final = (_is_size, "is a number of bytes above 0")
_POSSIBLE: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "tcp_nodelay": _FLAG,
    "tcp_keepalive": (_is_interval, "is True, False or a number of seconds, 1 to 32767"),
    "linger": (
        _is_reset,
        "is 0, to reset the connection when it is closed, or None; a close that waits would stop"
        " every user, and what was sent is delivered without waiting as well",
    ),
    "send_buffer": _SIZE,
    "receive_buffer": _SIZE,
    "broadcast": _FLAG,
    "dns_ttl": (_is_seconds, "is a number of seconds, 0 to ask for each connection"),
}
