"""Sockets for adapters: connect within a time limit, then bytes by callback in gevent's hub."""

from protouser._proxy import Proxy
from protouser.net._bridge import ProxyBridge
from protouser.net._datagram import DatagramReceiver, DatagramSocket, open_datagram
from protouser.net._deadline import Deadline
from protouser.net._dial import RawSocket, dial, dial_unix
from protouser.net._hubsocket import HubSocket, Receiver
from protouser.net._open import open_socket, open_unix_socket
from protouser.net._options import SocketOptions
from protouser.net._stream import open_stream
from protouser.net._tls import TlsOptions, TlsSession, TlsSocket, shake_hands
from protouser.net._tunnel import dial_through, refused_by_proxy

__all__ = [
    "DatagramReceiver",
    "DatagramSocket",
    "Deadline",
    "HubSocket",
    "Proxy",
    "ProxyBridge",
    "RawSocket",
    "Receiver",
    "SocketOptions",
    "TlsOptions",
    "TlsSession",
    "TlsSocket",
    "dial",
    "dial_through",
    "dial_unix",
    "open_datagram",
    "open_socket",
    "open_stream",
    "open_unix_socket",
    "refused_by_proxy",
    "shake_hands",
]
