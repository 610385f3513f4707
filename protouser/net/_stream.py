"""A connected cooperative socket, for client libraries that bring their own reading and writing."""

from __future__ import annotations

import socket

import gevent
import gevent.socket

from protouser._proxy import Proxy
from protouser.net._deadline import Deadline, Mark, ignore
from protouser.net._dial import DEFAULTS
from protouser.net._options import SocketOptions
from protouser.net._tls import (
    TlsOptions,
    handshake_failure,
    no_handshake_in_time,
    not_a_host_name,
)
from protouser.net._tunnel import dial_through

__all__ = ["open_stream"]


def open_stream(
    host: str,
    port: int,
    *,
    timeout: float | Deadline | None,
    tls: TlsOptions | None = None,
    proxy: Proxy | None = None,
    peer: str = "",
    mark: Mark = ignore,
    options: SocketOptions = DEFAULTS,
) -> socket.socket:
    """Connect, make the TLS handshake where asked for, and return a socket without a time limit.

    The socket has the interface of Python's and waits through gevent. Marks the phases ``dns``
    where a look-up was waited for, ``tcp``, ``proxy`` where there is one, and ``tls``. ``peer`` is
    how messages name the server.

    Raises:
        ConnectFailed: not connected, or no handshake, within ``timeout`` seconds.
    """
    peer = peer or f"{'tls' if tls else 'tcp'}://{host}:{port}"
    if tls is not None:
        tls.context()  # what is wrong with a file is said before anything is sent
    deadline = timeout if isinstance(timeout, Deadline) else Deadline(timeout)
    raw = dial_through(proxy, host, port, timeout=deadline, peer=peer, mark=mark, options=options)
    sock: socket.socket = gevent.socket.socket(raw.family, raw.type, raw.proto, fileno=raw.detach())
    try:
        sock.settimeout(None)
        if tls is not None:
            sock = _encrypted(sock, tls, host, deadline, peer)
            mark("tls")
    except BaseException:
        sock.close()
        raise
    return sock


def _encrypted(
    sock: socket.socket, tls: TlsOptions, host: str, deadline: Deadline, peer: str
) -> socket.socket:
    name = tls.server_name or host
    try:
        encrypted = tls.context().wrap_socket(
            sock, server_hostname=name, do_handshake_on_connect=False
        )
    except ValueError as error:
        raise not_a_host_name(name, error) from error
    limit = gevent.Timeout.start_new(deadline.left())
    try:
        encrypted.do_handshake()
    except gevent.Timeout as expired:
        encrypted.close()
        if expired is not limit:
            raise
        raise no_handshake_in_time(deadline, peer) from None
    except OSError as error:
        encrypted.close()
        raise handshake_failure(error, peer) from error
    except BaseException:
        encrypted.close()
        raise
    finally:
        limit.close()
    return encrypted
