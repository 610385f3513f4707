"""Connect a stream socket within one time limit, whatever the name resolves to.

The result is the C class ``_socket.socket`` in non-blocking mode: gevent's Python socket layer is
never on the way of a message. Only what waits here (the resolver, ``connect``) waits in gevent.
"""

from __future__ import annotations

import errno
import os
import socket
from _socket import socket as RawSocket

import gevent
import gevent.socket

from protouser._errors import ConfigurationError, ConnectFailed
from protouser.net._deadline import Deadline, Mark, ignore
from protouser.net._options import SocketOptions
from protouser.net._resolve import Address, forget, resolve

__all__ = ["DEFAULTS", "RawSocket", "dial", "dial_unix", "wait_readable", "wait_writable"]

DEFAULTS = SocketOptions()

_PENDING = (errno.EINPROGRESS, errno.EALREADY, errno.EINTR)
_UNIX_RETRY_SECONDS = 0.01
_REMEDIES = {
    errno.ECONNREFUSED: "is the server running there?",
    errno.ENOENT: "is the server running, and is the path right?",
    errno.EACCES: "may this user use it?",
    errno.ENETUNREACH: "check the address and the route to it",
    errno.EHOSTUNREACH: "check the address and the route to it",
    errno.EMFILE: "raise the limit of open files with ulimit -n",
    errno.EADDRNOTAVAIL: (
        "this machine has no free local port for it; keep connections open, close them with"
        " linger=0, or give several addresses as local_address"
    ),
}


def dial(
    host: str,
    port: int,
    *,
    timeout: float | Deadline | None,
    peer: str = "",
    mark: Mark = ignore,
    options: SocketOptions = DEFAULTS,
) -> RawSocket:
    """Connect to the first address of ``host`` that answers; every one gets a share of the time.

    Marks the phases ``dns``, where a look-up was waited for, and ``tcp``. ``peer`` is how messages
    name the server.

    Raises:
        ConnectFailed: refused, unreachable, not resolved, or not within ``timeout`` seconds.
    """
    if not 0 < port < 65536:
        raise ConfigurationError(f"port {port} of {host!r} is not between 1 and 65535")
    deadline = timeout if isinstance(timeout, Deadline) else Deadline(timeout)
    peer = peer or f"tcp://{host}:{port}"
    addresses = resolve(host, port, deadline, peer, ttl=options.dns_ttl, mark=mark)
    try:
        sock = _connect_any(addresses, deadline, peer, options)
    except ConnectFailed:
        forget(host, port)
        raise
    mark("tcp")
    return sock


def dial_unix(
    path: str,
    *,
    timeout: float | Deadline | None,
    peer: str = "",
    mark: Mark = ignore,
    options: SocketOptions = DEFAULTS,
) -> RawSocket:
    """Connect to a Unix domain socket; marks the phase ``tcp``, as ``dial`` does."""
    deadline = timeout if isinstance(timeout, Deadline) else Deadline(timeout)
    sock = _connect_any([(socket.AF_UNIX, path)], deadline, peer or f"unix://{path}", options)
    mark("tcp")
    return sock


def _connect_any(
    addresses: list[tuple[int, Address]], deadline: Deadline, peer: str, options: SocketOptions
) -> RawSocket:
    failure: OSError | ConnectFailed | None = None
    for tried, (family, address) in enumerate(addresses):
        share = deadline.share(len(addresses) - tried)
        try:
            return _connect(family, address, share, peer, options)
        except (OSError, ConnectFailed) as error:
            failure = error
    if isinstance(failure, ConnectFailed):
        raise failure
    if failure is None or (isinstance(failure, TimeoutError) and not failure.errno):
        raise ConnectFailed(f"no connection to {peer} within {deadline}") from failure
    raise _connect_failed(peer, failure) from failure


def _connect_failed(peer: str, error: OSError) -> ConnectFailed:
    code = error.errno or 0
    remedy = _REMEDIES.get(code, "")
    reason = os.strerror(code) if code else str(error)
    reason = reason[:1].lower() + reason[1:]
    return ConnectFailed(f"cannot connect to {peer}: {reason}{remedy and '; ' + remedy}")


def _connect(
    family: int, address: Address, deadline: Deadline, peer: str, options: SocketOptions
) -> RawSocket:
    sock = RawSocket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        options.prepare(sock, peer)
        if family == socket.AF_UNIX:
            _finish_unix(sock, address, deadline)
        else:
            _finish_tcp(sock, address, deadline)
    except BaseException:
        sock.close()
        raise
    return sock


def _finish_tcp(sock: RawSocket, address: Address, deadline: Deadline) -> None:
    code = sock.connect_ex(address)
    while code in _PENDING:
        wait_writable(sock, deadline)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    if sock.getsockname() == sock.getpeername():
        # with nobody listening on a port of the ephemeral range, TCP may connect to itself
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def _finish_unix(sock: RawSocket, address: Address, deadline: Deadline) -> None:
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
