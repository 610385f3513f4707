"""Connect a stream socket within one time limit, whatever the name resolves to.

The result is the C class ``_socket.socket`` in non-blocking mode: gevent's Python socket layer is
never on the way of a message. Only what waits here (the resolver, ``connect``) waits in gevent.
"""

from __future__ import annotations

import errno
import os
import socket
from _socket import getaddrinfo as _native_look_up
from _socket import socket as RawSocket
from collections.abc import Callable
from typing import Any

import gevent
import gevent.socket

from protouser._call import now
from protouser._errors import ConfigurationError, ConnectFailed

__all__ = [
    "Deadline",
    "Mark",
    "RawSocket",
    "dial",
    "dial_unix",
    "ignore",
    "wait_readable",
    "wait_writable",
]

Mark = Callable[[str], object]
_Address = tuple[Any, ...] | str

_PENDING = (errno.EINPROGRESS, errno.EALREADY, errno.EINTR)
_UNIX_RETRY_SECONDS = 0.01
_REMEDIES = {
    errno.ECONNREFUSED: "is the server running there?",
    errno.ENOENT: "is the server running, and is the path right?",
    errno.EACCES: "may this user use it?",
    errno.ENETUNREACH: "check the address and the route to it",
    errno.EHOSTUNREACH: "check the address and the route to it",
    errno.EMFILE: "raise the limit of open files with ulimit -n",
    errno.EADDRNOTAVAIL: "this machine has no free local port for it; use fewer connections",
}


def ignore(phase: str) -> None:
    """A ``mark`` for those who do not time the phases."""


class Deadline:
    """One time limit over several steps; ``seconds=None`` never ends."""

    __slots__ = ("_at", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._at = None if seconds is None else now() + seconds

    def left(self) -> float | None:
        """Seconds until the end, not below 0; None when there is no end."""
        return None if self._at is None else max(0.0, self._at - now())

    def share(self, parts: int) -> Deadline:
        """A deadline over an equal share of what is left."""
        left = self.left()
        return Deadline(None if left is None else left / parts)

    def __str__(self) -> str:
        return f"{self.seconds:g} s"


def dial(
    host: str,
    port: int,
    *,
    timeout: float | Deadline | None,
    peer: str = "",
    mark: Mark = ignore,
) -> RawSocket:
    """Connect to the first address of ``host`` that answers; every one gets a share of the time.

    Marks the phases ``dns`` and ``tcp``. ``peer`` is how messages name the server.

    Raises:
        ConnectFailed: refused, unreachable, not resolved, or not within ``timeout`` seconds.
    """
    if not 0 < port < 65536:
        raise ConfigurationError(f"port {port} of {host!r} is not between 1 and 65535")
    deadline = timeout if isinstance(timeout, Deadline) else Deadline(timeout)
    peer = peer or f"tcp://{host}:{port}"
    addresses = resolve(host, port, deadline, peer)
    mark("dns")
    sock = _connect_any(addresses, deadline, peer)
    mark("tcp")
    return sock


def dial_unix(
    path: str, *, timeout: float | Deadline | None, peer: str = "", mark: Mark = ignore
) -> RawSocket:
    """Connect to a Unix domain socket; marks the phase ``tcp``, as ``dial`` does."""
    deadline = timeout if isinstance(timeout, Deadline) else Deadline(timeout)
    sock = _connect_any([(socket.AF_UNIX, path)], deadline, peer or f"unix://{path}")
    mark("tcp")
    return sock


def resolve(host: str, port: int, deadline: Deadline, peer: str) -> list[tuple[int, _Address]]:
    limit = gevent.Timeout.start_new(deadline.left())
    try:
        found = _look_up(host, port)
    except gevent.Timeout as expired:
        if expired is not limit:
            raise
        raise ConnectFailed(
            f"no connection to {peer} within {deadline}: the name was not resolved in time"
        ) from None
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
        raise ConnectFailed(
            f"cannot resolve host {host!r}: {_lower(reason)}; check the name"
        ) from error
    finally:
        limit.close()
    return [(family, address) for family, _, _, _, address in found]


def _look_up(host: str, port: int) -> list[Any]:
    # a numeric address needs no resolver, hence no native thread of gevent's few
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        return _native_look_up(host, port, 0, socket.SOCK_STREAM, 0, numeric)
    except socket.gaierror:
        return gevent.socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)


def _connect_any(addresses: list[tuple[int, _Address]], deadline: Deadline, peer: str) -> RawSocket:
    failure: OSError | None = None
    for tried, (family, address) in enumerate(addresses):
        try:
            return _connect(family, address, deadline.share(len(addresses) - tried))
        except OSError as error:
            failure = error
    if failure is None or (isinstance(failure, TimeoutError) and not failure.errno):
        raise ConnectFailed(f"no connection to {peer} within {deadline}") from failure
    raise _connect_failed(peer, failure) from failure


def _connect_failed(peer: str, error: OSError) -> ConnectFailed:
    code = error.errno or 0
    remedy = _REMEDIES.get(code, "")
    reason = os.strerror(code) if code else str(error)
    return ConnectFailed(f"cannot connect to {peer}: {_lower(reason)}{remedy and '; ' + remedy}")


def _connect(family: int, address: _Address, deadline: Deadline) -> RawSocket:
    sock = RawSocket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_UNIX:
            _finish_unix(sock, address, deadline)
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _finish_tcp(sock, address, deadline)
    except BaseException:
        sock.close()
        raise
    return sock


def _finish_tcp(sock: RawSocket, address: _Address, deadline: Deadline) -> None:
    code = sock.connect_ex(address)
    while code in _PENDING:
        wait_writable(sock, deadline)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    if sock.getsockname() == sock.getpeername():
        # with nobody listening on a port of the ephemeral range, TCP may connect to itself
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def _finish_unix(sock: RawSocket, address: _Address, deadline: Deadline) -> None:
    # a full backlog is EAGAIN here and makes no event: asking again is the only way to wait
    while (code := sock.connect_ex(address)) == errno.EAGAIN:
        if deadline.left() == 0:
            raise TimeoutError
        gevent.sleep(_UNIX_RETRY_SECONDS)
    if code:
        raise OSError(code, os.strerror(code))


def wait_writable(sock: RawSocket, deadline: Deadline) -> None:
    """Wait until ``sock`` can be written or has failed to connect; TimeoutError at the deadline."""
    gevent.socket.wait_write(sock.fileno(), deadline.left(), TimeoutError())


def wait_readable(sock: RawSocket, deadline: Deadline) -> None:
    """Wait until ``sock`` can be read; TimeoutError at the deadline."""
    gevent.socket.wait_read(sock.fileno(), deadline.left(), TimeoutError())


def _lower(text: str | None) -> str:
    text = text or "unknown reason"
    return text[:1].lower() + text[1:]
