"""How a call ended: gRPC's status as an error that a user catches, and that is one row.

grpc-core writes addresses, ports and its own clock into the details of errors that it makes
itself. Each distinct text is a row in Locust's table of failures, so those are left out; what a
server says is left as it is.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import grpc

from protouser import CallTimeout, ConnectFailed, ProtouserError
from protouser.net import Proxy, refused_by_proxy

__all__ = [
    "GrpcError",
    "GrpcTimeout",
    "Metadata",
    "Metadatum",
    "Status",
    "connect_failure",
]


class Metadatum(NamedTuple):
    """One header or trailer; the value is bytes where the key ends in ``-bin``."""

    key: str
    value: str | bytes


Metadata = tuple[Metadatum, ...]


class GrpcError(ProtouserError, grpc.RpcError):
    """A call ended with another status than OK; also a ``grpc.RpcError``.

    Its text is the status code and the details: "NOT_FOUND: no such user".
    """

    def __init__(self, status: Status, text: str | None = None) -> None:
        self._status = status
        super().__init__(text or status.text())

    def code(self) -> grpc.StatusCode:
        """The status code."""
        return self._status.code

    def details(self) -> str:
        """What the server, or grpc itself, said about it."""
        return self._status.details

    def initial_metadata(self) -> Metadata:
        """The headers of the answer, if one came."""
        return self._status.initial

    def trailing_metadata(self) -> Metadata:  # type: ignore[override]  # a class of the stubs' own
        """The trailers of the answer."""
        return self._status.trailing

    def debug_error_string(self) -> str:
        """What grpc-core knows about the error."""
        return self._status.debug


class GrpcTimeout(GrpcError, CallTimeout):
    """A call ended with DEADLINE_EXCEEDED: no answer in time, or the server said so."""


class Status(NamedTuple):
    """The end of a call, as the engines hand it over."""

    code: grpc.StatusCode
    details: str = ""
    initial: Metadata = ()
    trailing: Metadata = ()
    debug: str = ""

    @property
    def ok(self) -> bool:
        """True for OK."""
        return self.code is grpc.StatusCode.OK

    def text(self) -> str:
        """Code and details, without what differs from call to call."""
        details = self.details
        if self.code in _OF_CORE:
            details = _stable(details)
        return f"{self.code.name}: {details}" if details else self.code.name

    def error(self, timeout: float | None = None) -> GrpcError:
        """The error of this status; ``timeout`` is the deadline that the call had."""
        if self.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
            return GrpcError(self)
        text = None
        if timeout is not None and _OWN_DEADLINE.search(self.details):
            text = f"{self.code.name}: no answer within {timeout:g} s"
        return GrpcTimeout(self, text)


def connect_failure(url: str, details: str, proxy: Proxy | None = None) -> ConnectFailed:
    """Why a channel did not become ready, from the details of a call that it refused."""
    reason = _stable(details)
    refused = _REFUSED_BY_PROXY.search(reason)
    if refused and proxy is not None:
        return refused_by_proxy(proxy, int(refused[1]), peer=url)
    if proxy is not None and _CLOSED.search(reason):
        return ConnectFailed(
            f"cannot connect to {url}: {proxy} or the server closed the connection"
        )
    untrusted = _UNTRUSTED.search(reason)
    if untrusted:
        what = untrusted.group(1).strip(" :").lower()
        return ConnectFailed(f"cannot trust {url}: {what}; pass ca_file=...")
    tls = url.startswith("grpcs:")
    there = url if proxy is None else proxy  # where grpc itself connects to
    for pattern, of_tls, text in _REASONS:
        if pattern.search(reason) and of_tls in (None, tls):
            return ConnectFailed(text.format(url=url, there=there))
    return ConnectFailed(f"cannot connect to {url}: {reason}")


def _stable(details: str) -> str:
    """Details of grpc-core without addresses, ports, and words that come and go."""
    details = details.rpartition("last error: ")[2]
    for noise in _NOISE:
        details = noise.sub(r"\1" if noise.groups else "", details)
    return details.strip(" ;:,") or "no reason given"


_OF_CORE: Final = (grpc.StatusCode.UNAVAILABLE,)
_OWN_DEADLINE: Final = re.compile("deadline exceeded", re.IGNORECASE)
_NOISE: Final = tuple(
    map(
        re.compile,
        (
            r"^(?:UNKNOWN|UNAVAILABLE|INTERNAL): ",
            r"(?:ipv4|ipv6|unix):\S+: ",
            r"(?:Stream removed|Transport closed) \((.*)\)$",
            r"^Delayed close due to in-progress write \((.*)\)$",
            r"Failed to connect to remote host: ",
            r"\b(?:recvmsg|sendmsg):",
            r" ?\(\d+\)$",
            r": OK$",
        ),
    )
)
_REFUSED_BY_PROXY: Final = re.compile(r"HTTP proxy returned response code (\d{3})")
_CLOSED: Final = re.compile("socket closed|connection reset|broken pipe", re.IGNORECASE)
_UNTRUSTED: Final = re.compile("CERTIFICATE_VERIFY_FAILED:?([^;]*)")

#: What grpc-core says, whether of TLS, and what it means.
_REASONS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), of_tls, text)
    for pattern, of_tls, text in (
        (
            "connection refused",
            None,
            "cannot connect to {there}: connection refused; is the server running there?",
        ),
        (
            "errors? resolving|name resolution|not found",
            None,
            "cannot connect to {there}: its host name cannot be resolved",
        ),
        (
            "hostname verification",
            True,
            "cannot trust {url}: its certificate is made out to another name; pass server_name=...",
        ),
        (
            "handshake failed|SSL_ERROR|WRONG_VERSION_NUMBER",
            True,
            "no TLS handshake with {url}: does the server speak TLS there?",
        ),
        (
            "socket closed|connection reset|broken pipe",
            True,
            "cannot connect to {url}: the server closed the connection; does it ask for a client"
            " certificate? pass cert=... and key=...",
        ),
        (
            "socket closed|connection reset|broken pipe",
            False,
            "cannot connect to {url}: the server closed the connection; does it speak TLS there?"
            " write grpcs://",
        ),
        (
            "HTTP/2|http1|frame",
            None,
            "cannot connect to {url}: what answers there is no gRPC server",
        ),
    )
)
