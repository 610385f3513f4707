"""TCP, TLS, Unix sockets and UDP with messages: framing, request and reply, one-way, pushes."""

from protouser_socket._client import TcpClient, TcpUser
from protouser_socket._framing import Framing, length_prefix, lines
from protouser_socket._udp_client import UdpClient, UdpUser

__all__ = ["Framing", "TcpClient", "TcpUser", "UdpClient", "UdpUser", "length_prefix", "lines"]
