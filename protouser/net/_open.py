"""From an address to a connected ``HubSocket``: dial, shake hands, arm, within one time limit."""

from __future__ import annotations

from protouser._proxy import Proxy
from protouser.net._deadline import Deadline, Mark, ignore
from protouser.net._dial import DEFAULTS, RawSocket, dial_unix
from protouser.net._hubsocket import HubSocket, Receiver
from protouser.net._options import SocketOptions
from protouser.net._tls import TlsOptions, TlsSocket, shake_hands
from protouser.net._tunnel import dial_through

__all__ = ["open_socket", "open_unix_socket"]


def open_socket(
    receiver: Receiver,
    host: str,
    port: int,
    *,
    timeout: float | None,
    tls: TlsOptions | None = None,
    proxy: Proxy | None = None,
    peer: str = "",
    mark: Mark = ignore,
    options: SocketOptions = DEFAULTS,
) -> HubSocket:
    """Connect to ``host`` and have ``receiver`` called with what arrives; with TLS if ``tls`` says.

    Marks the phases ``dns`` where a look-up was waited for, ``tcp``, ``proxy`` where there is one,
    and ``tls``. ``peer`` is how
    messages name the server.

    Raises:
        ConnectFailed: no connection, or no trusted one, within ``timeout`` seconds.
        ConfigurationError: an option of ``tls`` names a file that cannot be used.
    """
    deadline = Deadline(timeout)
    if tls is not None:
        tls.context()  # what is wrong with a file is said before anything is sent
    peer = peer or f"{'tcp' if tls is None else 'tls'}://{host}:{port}"
    sock = dial_through(proxy, host, port, timeout=deadline, peer=peer, mark=mark, options=options)
    if tls is None:
        return HubSocket(sock, receiver, peer=peer)
    return _secured(sock, receiver, tls, host, deadline, peer, mark)


def open_unix_socket(
    receiver: Receiver,
    path: str,
    *,
    timeout: float | None,
    mark: Mark = ignore,
    options: SocketOptions = DEFAULTS,
) -> HubSocket:
    """Connect to a Unix domain socket and have ``receiver`` called with what arrives.

    Raises:
        ConnectFailed: no connection within ``timeout`` seconds.
    """
    peer = f"unix://{path}"
    sock = dial_unix(path, timeout=timeout, peer=peer, mark=mark, options=options)
    return HubSocket(sock, receiver, peer=peer)


def _secured(
    sock: RawSocket,
    receiver: Receiver,
    tls: TlsOptions,
    host: str,
    deadline: Deadline,
    peer: str,
    mark: Mark,
) -> TlsSocket:
    try:
        session = shake_hands(sock, tls, host, deadline=deadline, peer=peer)
    except BaseException:
        sock.close()
        raise
    mark("tls")
    return TlsSocket(sock, receiver, peer=peer, session=session)
