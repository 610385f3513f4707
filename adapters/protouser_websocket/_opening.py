"""The opening handshake (RFC 6455 section 4): what is asked and what may be answered; no I/O."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit

from protouser import ConfigurationError, ConnectFailed, Url

__all__ = ["Answer", "Opening", "header_pairs", "not_http", "parse_answer", "target_of"]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN: Final = {
    "upgrade": "it is the handshake's own",
    "connection": "it is the handshake's own",
    "sec-websocket-key": "it is the handshake's own",
    "sec-websocket-version": "it is the handshake's own",
    "sec-websocket-accept": "it is the server's",
    "sec-websocket-extensions": "no extension is supported",
    "sec-websocket-protocol": "use subprotocols=[...]",
}
_TELLING: Final = ("location", "www-authenticate", "sec-websocket-version")
_LONGEST_EXCERPT: Final = 100
_REMEDIES: Final = {
    200: "it is a web server; is the path right?",
    401: "check the credentials",
    404: "is the path right?",
}


@dataclass(frozen=True, slots=True)
class Opening:
    """The request that asks a server to switch to WebSocket.

    Attributes:
        peer: how messages name the server.
        target: path and query, as they go over the wire.
        headers: all headers but those of the handshake, in order.
        subprotocols: what is offered, the best first.
    """

    peer: str
    target: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    subprotocols: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        url: Url,
        target: str,
        *,
        default_port: int,
        headers: Any = None,
        subprotocols: Any = None,
        origin: str | None = None,
        cookies: Any = None,
    ) -> Opening:
        """The request for ``url`` with a tester's options.

        Raises:
            ConfigurationError: an option cannot be sent as it is.
        """
        given = header_pairs(headers)
        names = {name.lower() for name, _ in given}
        own = [("Host", _host_header(url, default_port)), ("User-Agent", "protouser")]
        if origin is not None:
            own.append(("Origin", _checked("origin", origin)))
        if cookies:
            own.append(("Cookie", _cookie_header(cookies)))
        if url.username is not None or url.password is not None:
            own.append(("Authorization", _basic(url)))
        kept = [(name, value) for name, value in own if name.lower() not in names]
        return cls(str(url), target, (*kept, *given), _subprotocols(subprotocols))

    def request(self, key: str) -> bytes:
        """The request as it goes over the wire."""
        lines = [f"GET {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}"]
        lines += ["Sec-WebSocket-Version: 13"]
        if self.subprotocols:
            lines.append(f"Sec-WebSocket-Protocol: {', '.join(self.subprotocols)}")
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    @staticmethod
    def new_key() -> str:
        """A fresh nonce (section 4.1, item 7)."""
        return base64.b64encode(os.urandom(16)).decode()

    def check(self, answer: Answer, key: str) -> str | None:
        """The subprotocol that was agreed upon; None where none was offered.

        Raises:
            ConnectFailed: the server did not switch as it must.
        """
        if "websocket" not in answer.words("upgrade") or "upgrade" not in answer.words(
            "connection"
        ):
            raise ConnectFailed(f"{self.peer} answered 101 but does not switch to WebSocket")
        if answer.headers.get("sec-websocket-accept") != _accept(key):
            raise ConnectFailed(
                f"{self.peer} answered with a wrong Sec-WebSocket-Accept; it is no WebSocket"
                " server, or something between answers in its place"
            )
        extensions = answer.headers.get("sec-websocket-extensions")
        if extensions:
            raise ConnectFailed(
                f"{self.peer} switched extensions on that nobody asked for: {_excerpt(extensions)}"
            )
        return self._agreed(answer.headers.get("sec-websocket-protocol"))

    def _agreed(self, chosen: str | None) -> str | None:
        offered = ", ".join(self.subprotocols)
        if chosen is None and self.subprotocols:
            raise ConnectFailed(f"{self.peer} agreed to no subprotocol; offered: {offered}")
        if chosen is not None and chosen not in self.subprotocols:
            raise ConnectFailed(
                f"{self.peer} chose the subprotocol {_excerpt(chosen)}, which was not offered;"
                f" offered: {offered or 'none'}"
            )
        return chosen

    def refusal(self, answer: Answer, body: bytes) -> ConnectFailed:
        """The server answered something else than 101, and this is the beginning of the body."""
        told = [
            f"{name}: {answer.headers[name].partition('?')[0][:_LONGEST_EXCERPT]}"
            for name in _TELLING
            if name in answer.headers
        ]
        text = f"{self.peer} answered {answer.status} {answer.reason}".rstrip()
        text += " instead of switching to WebSocket"
        if told:
            text += f" ({'; '.join(told)})"
        if answer.headers.get("transfer-encoding", "").lower() == "chunked":
            body = body.partition(b"\r\n")[2].partition(b"\r\n")[0]
        excerpt = " ".join(body.decode("utf-8", "replace").split())
        if excerpt:
            text += f": {_excerpt(excerpt)}"
        remedy = _REMEDIES.get(answer.status)
        return ConnectFailed(text if remedy is None else f"{text}; {remedy}")


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of the server's answer; names of headers are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]

    def words(self, name: str) -> list[str]:
        """The comma-separated words of a header, in lower case."""
        return [word.strip().lower() for word in self.headers.get(name, "").split(",")]


def parse_answer(head: bytes, peer: str) -> Answer:
    """Read a head, without the empty line at its end.

    Raises:
        ConnectFailed: it is no answer of an HTTP server.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    found = re.fullmatch(r"HTTP/1\.\d ([1-5]\d\d)(?: (.*))?", first)
    if found is None:
        raise not_http(head, peer)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise ConnectFailed(f"{peer} answered the upgrade with a malformed header")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(int(found[1]), (found[2] or "").strip(), headers)


def not_http(data: bytes, peer: str) -> ConnectFailed:
    """What a server that speaks something else has said."""
    if data[:2] == b"\x15\x03":
        return ConnectFailed(f"{peer} answers in TLS; write wss:// for ws://")
    first = data.split(b"\n", 1)[0].decode("latin-1").strip()
    return ConnectFailed(f"{peer} answered something else than HTTP: {_excerpt(first)}")


def target_of(url: str | Url, parsed: Url) -> str:
    """Path and query as they are sent: those of a text as they stand there."""
    if isinstance(url, str):
        text = url.strip() if "://" in url else f"ws://{url.strip()}"
        parts = urlsplit(text)
        path, query = parts.path, parts.query
    else:
        path = quote(parsed.path)
        query = "&".join(f"{quote(k, '')}={quote(v, '')}" for k, v in parsed.query.items())
    safe = "/?:@!$&'()*+,;=%~-._"
    target = quote(path, safe) or "/"
    return f"{target}?{quote(query, safe)}" if query else target


def header_pairs(headers: Any) -> list[tuple[str, str]]:
    """A tester's headers as pairs, checked.

    Raises:
        ConfigurationError: one cannot be sent.
    """
    if headers is None:
        return []
    pairs = headers.items() if isinstance(headers, Mapping) else _listed(headers)
    checked = []
    for name, value in pairs:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigurationError(f"headers: {name!r} is not the name of a header")
        if name.lower() in _OWN:
            raise ConfigurationError(f"headers: {name} cannot be set; {_OWN[name.lower()]}")
        checked.append((name, _checked(f"headers: {name}", value)))
    return checked


def _listed(headers: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(headers, str | bytes) or not isinstance(headers, Iterable):
        raise ConfigurationError("headers is a dict, or a list of 'Name: value' texts or pairs")
    for header in headers:
        if isinstance(header, str):
            name, colon, value = header.partition(":")
            if not colon:
                raise ConfigurationError("headers: a text in the list is not 'Name: value'")
            yield name.strip(), value.strip()
        elif isinstance(header, Sequence) and len(header) == 2:
            yield header[0], header[1]
        else:
            raise ConfigurationError("headers: an item is neither 'Name: value' nor a pair")


def _checked(what: str, value: Any) -> str:
    """A header's value that can be sent; it may be secret, so messages do not show it."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{what} is text, not {type(value).__name__}")
    if any((character < " " and character != "\t") or character == "\x7f" for character in value):
        raise ConfigurationError(f"{what} has a control character in it, such as a line end")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ConfigurationError(f"{what} has characters beyond Latin-1 in it") from None
    return value


def _cookie_header(cookies: Any) -> str:
    if not isinstance(cookies, Mapping):
        raise ConfigurationError("cookies is a dict of values by name")
    pairs = [(str(name), _checked(f"cookies: {name}", value)) for name, value in cookies.items()]
    if any(";" in value or not _TOKEN.fullmatch(name) for name, value in pairs):
        raise ConfigurationError("cookies: a name is no token, or a value has a ';' in it")
    return "; ".join(f"{name}={value}" for name, value in pairs)


def _subprotocols(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError(f"subprotocols={given!r}; it is a list, such as ['chat']")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigurationError(f"subprotocols: {name!r} is not the name of a subprotocol")
    if len(set(names)) < len(names):
        raise ConfigurationError("subprotocols: each may stand there once only")
    return names


def _host_header(url: Url, default_port: int) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    try:
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise ConfigurationError(f"{url.host!r} is not a host name") from None
    return host if url.port in (None, default_port) else f"{host}:{url.port}"


def _basic(url: Url) -> str:
    secret = f"{url.username or ''}:{url.password or ''}".encode()
    return f"Basic {base64.b64encode(secret).decode()}"


def _accept(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT]}...")
