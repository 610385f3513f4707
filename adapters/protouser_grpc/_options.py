"""What a channel is opened with and what a call may be given, checked before it is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import grpc

from protouser import ConfigurationError, Url
from protouser.net import Proxy

__all__ = ["CONNECTIONS", "ChannelOptions", "Terms", "as_metadata", "channel_options", "through"]

CONNECTIONS: Final = ("per_user", "shared")

#: One connection for one channel, every attempt visible, no limits, no proxy by accident.
_ARGUMENTS: Final[Mapping[str, Any]] = {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.enable_http_proxy": 0,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
}

RawMetadata = tuple[tuple[str, str | bytes], ...]


class Terms(NamedTuple):
    """On which terms a call is made; ``timeout`` in seconds, None for no deadline."""

    timeout: float | None = None
    metadata: RawMetadata = ()
    wait_for_ready: bool | None = None


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """Everything that makes one channel differ from another.

    Attributes:
        target: as grpc names the server.
        url: as messages name it.
        arguments: grpc's channel arguments.
        tls: whether to speak TLS.
        roots: the certificates to trust in PEM format; the system's where None.
        chain: this side's certificates, in PEM format.
        key: their key, in PEM format.
        proxy: what the connection goes through.
    """

    target: str
    url: str
    arguments: tuple[tuple[str, Any], ...] = field(repr=False)
    tls: bool = False
    roots: bytes | None = None
    chain: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    proxy: Proxy | None = None

    def credentials(self) -> grpc.ChannelCredentials | None:
        """What grpc wants for TLS; None without."""
        if not self.tls:
            return None
        library: Any = grpc
        credentials: grpc.ChannelCredentials = library.ssl_channel_credentials(
            self.roots, self.key, self.chain
        )
        return credentials


def channel_options(url: Url, given: Mapping[str, Any], proxy: Proxy | None) -> ChannelOptions:
    """The options of a client's channel, files read.

    Raises:
        ConfigurationError: an option is of no use.
    """
    options = replace(_direct_options(url, given), proxy=proxy)
    return options if proxy is None or proxy.is_socks else through(proxy, options)


def through(proxy: Proxy, options: ChannelOptions) -> ChannelOptions:
    """The options of a channel to a proxy of HTTP, which is asked for the server.

    This is what grpc itself makes of "grpc.http_proxy", except that a variable "no_proxy" of the
    environment would overrule that without a word.
    """
    server = options.target
    arguments = {
        "grpc.http_connect_server": server,
        "grpc.default_authority": server,
        **dict(options.arguments),
    }
    if proxy.authorization is not None:
        arguments["grpc.http_connect_headers"] = f"Proxy-Authorization:{proxy.authorization}"
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return replace(options, target=f"{host}:{proxy.port}", arguments=tuple(arguments.items()))


def _direct_options(url: Url, given: Mapping[str, Any]) -> ChannelOptions:
    tls = url.scheme == "grpcs"
    arguments = {**_ARGUMENTS, **_mapping("channel_options", given.get("channel_options"))}
    host = f"[{url.host}]" if ":" in url.host else url.host
    if not tls:
        _refuse_tls_options(url, given)
        return ChannelOptions(f"{host}:{url.port}", str(url), tuple(arguments.items()))
    if not given.get("verify", True):
        raise ConfigurationError(
            "verify=False: gRPC cannot leave a certificate unchecked; pass ca_file=... with the"
            " server's certificate, and server_name=... with the name that stands in it"
        )
    if given.get("server_name"):
        arguments["grpc.ssl_target_name_override"] = given["server_name"]
    chain = _pem("cert", given.get("cert"))
    key = _pem("key", given.get("key")) or chain
    if key is not None and chain is None:
        raise ConfigurationError("key=... is of no use without cert=...")
    if key is not None and b"PRIVATE KEY" not in key:
        raise ConfigurationError(f"cert {given['cert']!r} holds no key; pass key=... as well")
    roots = _pem("ca_file", given.get("ca_file"))
    return ChannelOptions(
        f"{host}:{url.port}", str(url), tuple(arguments.items()), True, roots, chain, key
    )


def as_metadata(given: Any) -> RawMetadata:
    """Metadata as pairs with lower-case keys, from a dict or pairs.

    Raises:
        ConfigurationError: a key or a value that gRPC does not carry.
    """
    if not given:
        return ()
    pairs = given.items() if isinstance(given, Mapping) else given
    try:
        return tuple(_metadatum(key, value) for key, value in pairs)
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(
            "metadata is a dict or a sequence of (key, value) pairs, as (('token', 'abc'),)"
        ) from None


def _metadatum(key: Any, value: Any) -> tuple[str, str | bytes]:
    if not isinstance(key, str) or not key or not _KEY.issuperset(key.lower()):
        raise ConfigurationError(
            f"metadata key {key!r}: a key is made of letters, digits and '-', '_', '.'"
        )
    key = key.lower()
    if key.startswith("grpc-"):
        raise ConfigurationError(f"metadata key {key!r}: keys that begin with grpc- are gRPC's own")
    wanted = bytes if key.endswith("-bin") else str
    if not isinstance(value, wanted):
        raise ConfigurationError(
            f"metadata {key!r} must be {wanted.__name__}, not {type(value).__name__};"
            " bytes go with keys that end in -bin"
        )
    if isinstance(value, str) and not (value.isascii() and value.isprintable()):
        raise ConfigurationError(
            f"metadata {key!r} holds characters that gRPC carries only as bytes; name it {key}-bin"
        )
    return key, value


def _refuse_tls_options(url: Url, given: Mapping[str, Any]) -> None:
    for name in ("ca_file", "cert", "key", "server_name"):
        if given.get(name) is not None:
            raise ConfigurationError(f"{name}=... needs TLS; write grpcs:// for {url}")


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return {str(key): item for key, item in value}
    raise ConfigurationError(f"{name}={value!r} is no dict of grpc's channel arguments")


def _pem(option: str, path: Any) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise ConfigurationError(f"{option} {path!r} cannot be used: {error.strerror}") from error
    if b"-----BEGIN" not in text:
        raise ConfigurationError(f"{option} {path!r} cannot be used: it is not in PEM format")
    return text


_KEY: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
