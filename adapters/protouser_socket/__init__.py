"""TCP, TLS and Unix sockets with messages: framing, request and reply, one-way, pushes."""

from protouser_socket._client import TcpClient, TcpUser
from protouser_socket._framing import Framing, length_prefix, lines

__all__ = ["Framing", "TcpClient", "TcpUser", "length_prefix", "lines"]
