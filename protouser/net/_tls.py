"""TLS over a ``HubSocket``: the same callbacks, with OpenSSL working on memory in between.

An ``SSLSocket`` may hold decrypted bytes that make no readable event; with ``MemoryBIO`` everything
that arrived is decrypted in the callback that received it. A context costs some 30 ms and 800 KiB
to make, so all connections with the same options share one.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self

from protouser._call import now
from protouser._errors import ConfigurationError, ConnectFailed, ConnectionLost
from protouser.net._deadline import Deadline
from protouser.net._dial import RawSocket, wait_readable, wait_writable
from protouser.net._hubsocket import CHUNK, HubSocket, Receiver, refuse_to_send

__all__ = [
    "TlsOptions",
    "TlsSession",
    "TlsSocket",
    "handshake_failure",
    "no_handshake_in_time",
    "not_a_host_name",
    "shake_hands",
]


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How to speak TLS.

    Attributes:
        verify: check that the certificate is trusted and made out to the server's name.
        ca_file: certificates to trust instead of the system's, in PEM format.
        cert: this side's certificate chain, in PEM format.
        key: its key, where ``cert`` does not hold it.
        server_name: the name to ask for and to check, where it is not the host.
        alpn: application protocols to offer, such as ("h2",).
    """

    verify: bool = True
    ca_file: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None
    alpn: tuple[str, ...] = ()

    #: The options of a client that ``of`` understands.
    NAMES: ClassVar[frozenset[str]] = frozenset({"verify", "ca_file", "cert", "key", "server_name"})

    @classmethod
    def of(cls, options: Mapping[str, Any], alpn: tuple[str, ...] = ()) -> Self:
        """What a client's options say of TLS."""
        return cls(**{name: options[name] for name in cls.NAMES & options.keys()}, alpn=alpn)

    def context(self) -> ssl.SSLContext:
        """The shared context of these options, made on first use.

        Raises:
            ConfigurationError: a file is missing or is not what it should be.
        """
        key = (self.verify, self.ca_file, self.cert, self.key, self.alpn)
        context = _contexts.get(key)
        if context is None:
            context = _contexts[key] = self._new_context()
        return context

    def _new_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.ca_file is None:
            context.load_default_certs()
        else:
            try:
                context.load_verify_locations(self.ca_file)
            except OSError as error:
                _refuse_file("ca_file", self.ca_file, error)
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key, _no_password)
            except OSError as error:
                _refuse_file("cert or key", f"{self.cert}, {self.key}", error)
        if self.alpn:
            context.set_alpn_protocols(list(self.alpn))
        return context


_contexts: dict[tuple[object, ...], ssl.SSLContext] = {}


@dataclass(frozen=True, slots=True)
class TlsSession:
    """A finished handshake: OpenSSL's state and the memory on both of its sides."""

    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO


class TlsSocket(HubSocket):
    """A ``HubSocket`` whose bytes are encrypted on the way.

    Args:
        sock: the raw socket that the handshake was made on.
        receiver: where decrypted bytes and the end of the connection go.
        peer: how messages name the server.
        session: what ``shake_hands`` returned.
    """

    # OpenSSL numbers the records: what was encrypted has to be sent
    _revocable = False

    def __init__(
        self, sock: RawSocket, receiver: Receiver, *, peer: str, session: TlsSession
    ) -> None:
        super().__init__(sock, receiver, peer=peer)
        self._tls = session.tls
        self._incoming = session.incoming
        self._outgoing = session.outgoing
        self._ended = False
        self._receive = receiver.on_data
        self._on_data = self._decrypt
        if self._incoming.pending:
            self._hub.loop.run_callback(self._decrypt_first, now())

    @property
    def alpn(self) -> str | None:
        """The application protocol that was agreed upon."""
        return self._tls.selected_alpn_protocol()

    def send(self, data: bytes, timeout: float | None = None) -> None:
        if self.closed:
            raise self._is_closed()
        if self._ended:
            refuse_to_send(data)
        if data:
            self._tls.write(data)
            super().send(self._outgoing.read(), timeout)

    def shutdown_send(self) -> None:
        # TLS says it with a message of its own (RFC 8446, section 6.1); TCP stays open, both ways
        if self._ended:
            return
        if self.closed:
            raise self._is_closed()
        self._ended = True
        with suppress(ssl.SSLError):  # it wants the peer's goodbye too, which is yet to come
            self._tls.unwrap()
        super().send(self._outgoing.read())

    def _decrypt_first(self, at: float) -> None:
        """What came together with the end of the handshake makes no event any more."""
        if self.closed:
            return
        try:
            self._decrypt(b"", at)
        except Exception as error:  # noqa: BLE001  whatever a codec raises ends the connection
            self._shut(error)

    def _decrypt(self, data: bytes, at: float) -> None:
        self._incoming.write(data)
        while not self.closed:
            try:
                plain = self._tls.read(CHUNK)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                plain = b""
            except ssl.SSLError as error:
                raise ConnectionLost(
                    f"the connection to {self.peer} was lost: TLS: {reason_of(error)}"
                ) from error
            if not plain:
                self._shut(None)
                return
            self._receive(plain, at)
        if self._outgoing.pending and not self.closed:
            super().send(self._outgoing.read())

    def _say_goodbye(self) -> None:
        with suppress(ssl.SSLError):  # it wants the peer's goodbye too, which nobody waits for
            self._tls.unwrap()
        if not self._unsent:
            with suppress(OSError):
                self._try_send(self._outgoing.read())


def shake_hands(
    sock: RawSocket, options: TlsOptions, host: str, *, deadline: Deadline, peer: str
) -> TlsSession:
    """Make the TLS handshake on a connected raw socket, which stays the caller's to close.

    Raises:
        ConnectFailed: not trusted, not TLS, refused, or not done by the deadline.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    name = options.server_name or host
    try:
        tls = options.context().wrap_bio(incoming, outgoing, server_hostname=name)
    except ValueError as error:
        raise not_a_host_name(name, error) from error
    try:
        while not _advance(tls, peer):
            _flush(sock, outgoing, deadline)
            incoming.write(_receive(sock, deadline, peer))
        _flush(sock, outgoing, deadline)
    except TimeoutError:
        raise no_handshake_in_time(deadline, peer) from None
    except ConnectFailed:
        with suppress(OSError):
            sock.send(outgoing.read())  # the alert that tells the server why
        raise
    except OSError as error:
        raise handshake_failure(error, peer) from error
    return TlsSession(tls, incoming, outgoing)


def _advance(tls: ssl.SSLObject, peer: str) -> bool:
    """Go on with the handshake; True when it is done."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError as error:
        raise handshake_failure(error, peer) from error
    return True


def handshake_failure(error: OSError, peer: str) -> ConnectFailed:
    """What went wrong in a handshake, with the remedy where there is one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = "pass ca_file=... or verify=False"
        if error.verify_code in _WRONG_NAME:
            remedy = "pass server_name=... or verify=False"
        return ConnectFailed(f"cannot trust {peer}: {error.verify_message.rstrip('.')}; {remedy}")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return closed_in_handshake(peer)
    if isinstance(error, ssl.SSLError):
        hint = "; does the server speak TLS there?" if error.reason in _NOT_TLS else ""
        return ConnectFailed(f"no TLS handshake with {peer}: {reason_of(error)}{hint}")
    return ConnectFailed(f"no TLS handshake with {peer}: the connection was lost")


def closed_in_handshake(peer: str) -> ConnectFailed:
    """The server did not like what it got."""
    return ConnectFailed(
        f"no TLS handshake with {peer}: it closed the connection; does the server speak TLS there?"
    )


def no_handshake_in_time(deadline: Deadline, peer: str) -> ConnectFailed:
    """The server took the connection and did not get done with the handshake."""
    return ConnectFailed(
        f"no TLS handshake with {peer} within {deadline}; does the server speak TLS there?"
    )


def _receive(sock: RawSocket, deadline: Deadline, peer: str) -> bytes:
    while True:
        wait_readable(sock, deadline)
        try:
            data = sock.recv(CHUNK)
        except BlockingIOError:
            continue
        if not data:
            raise closed_in_handshake(peer)
        return data


def _flush(sock: RawSocket, outgoing: ssl.MemoryBIO, deadline: Deadline) -> None:
    rest = memoryview(outgoing.read())
    while rest:
        try:
            rest = rest[sock.send(rest) :]
        except BlockingIOError:
            wait_writable(sock, deadline)


def reason_of(error: ssl.SSLError) -> str:
    """OpenSSL's reason in words, without the file names and numbers of its own text."""
    return (error.reason or str(error)).replace("_", " ").lower()


def _refuse_file(option: str, path: str, error: OSError) -> NoReturn:
    reason = reason_of(error) if isinstance(error, ssl.SSLError) else error.strerror
    raise ConfigurationError(f"{option} {path!r} cannot be used: {reason}") from error


def not_a_host_name(name: str, error: ValueError) -> ConfigurationError:
    """OpenSSL does not take this name for one of a server."""
    return ConfigurationError(f"server_name {name!r} is not a host name: {error}")


def _no_password() -> NoReturn:
    raise ConfigurationError("the key is encrypted; decrypt it first, a test cannot type passwords")


#: OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH
_WRONG_NAME = (62, 64)
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
)
