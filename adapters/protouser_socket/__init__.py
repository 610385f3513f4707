"""TCP, TLS, Unix sockets and UDP with messages: framing, request and reply, one-way, pushes."""

from protouser_socket._client import TcpClient, TcpUser
from protouser_socket._framing import (
    Decoder,
    Framing,
    codec,
    delimiter,
    fixed_length,
    framing_function,
    idle_gap,
    length_prefix,
    lines,
    nul,
    stx_etx,
    until_close,
)
from protouser_socket._udp_client import UdpClient, UdpUser

__all__ = [
    "Decoder",
    "Framing",
    "TcpClient",
    "TcpUser",
    "UdpClient",
    "UdpUser",
    "codec",
    "delimiter",
    "fixed_length",
    "framing_function",
    "idle_gap",
    "length_prefix",
    "lines",
    "nul",
    "stx_etx",
    "until_close",
]
