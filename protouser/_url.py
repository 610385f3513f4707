"""Where a backend is: a URL whose password is never shown.

A password with "/", "?" or "#" in it ends the host too early, and then its pieces are taken for
a port, a path or a query. So what is shown of a malformed text is only what follows its last "@",
never a port that is no number, and never the words of ``urllib``, which quote the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from protouser._errors import ConfigurationError

__all__ = ["Url"]

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PLACE: Final = re.compile(r"(\[[^]/]*]?|[^:/]*)(:[0-9]*)?(/.*)?", re.DOTALL)
_ESCAPE: Final = "write special characters of a password as %XX"


@dataclass(frozen=True, slots=True)
class Url:
    """A parsed URL; ``str()`` leaves out the password and the query, which may hold secrets."""

    scheme: str
    host: str = ""
    port: int | None = None
    path: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    query: dict[str, str] = field(default_factory=dict, repr=False, hash=False)

    @classmethod
    def parse(cls, text: str | Url, scheme: str | None = None) -> Url:
        """Read ``text``; ``host:port`` without ``://`` is accepted where a scheme is given.

        Raises:
            ConfigurationError: it names what is wrong with the text.
        """
        if isinstance(text, Url):
            return text
        text = _text(text)
        if not _SCHEME.match(text):
            if not scheme:
                raise ConfigurationError(
                    f"{_shown(text)!r} names no protocol; write it as scheme://host:port,"
                    " for example tcp://localhost:7000"
                )
            text = f"{scheme}://{text}"
        return cls._split(text)

    @classmethod
    def _split(cls, text: str) -> Self:
        parts = _parts(text)
        return cls(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=parts.port,
            path=unquote(parts.path),
            username=unquote(parts.username) if parts.username is not None else None,
            password=unquote(parts.password) if parts.password is not None else None,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        )

    def __str__(self) -> str:
        user = "" if self.username is None else self.username
        if self.password is not None:
            user += ":***"
        host = f"[{self.host}]" if ":" in self.host else self.host
        at = f"{user}@" if user else ""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{at}{host}{port}{self.path}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        kind = "None" if value is None else type(value).__name__
        raise ConfigurationError(f"a URL is text, not {kind}; write it as scheme://host:port")
    return value.strip()


def _parts(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
    except ValueError:
        reason = "invalid IPv6 URL" if "[" in text or "]" in text else "invalid characters"
        raise _not_a_url(text, reason) from None
    try:
        port = parts.port
    except ValueError as error:
        out_of_range = "0-65535" in str(error)
        reason = "must be between 1 and 65535" if out_of_range else "is not a number"
        raise _not_a_url(text, f"the port {reason}") from None
    if port == 0:
        raise _not_a_url(text, "port 0 cannot be connected to")
    if "@" in parts.path and (":" in parts.netloc or "@" in parts.netloc):
        raise _not_a_url(text, "an '@' follows the host; write one of a path as %40")
    if not parts.hostname and not parts.path:
        raise ConfigurationError(f"{_shown(text)!r} names no host; write it as scheme://host:port")
    return parts


def _not_a_url(text: str, reason: str) -> ConfigurationError:
    advice = f"; {_ESCAPE}" if "@" in text else ""
    return ConfigurationError(f"{_shown(text)!r} is not a URL: {reason}{advice}")


def _shown(text: str) -> str:
    """The scheme, host, port and path of a text that may be malformed, and nothing secret."""
    found = _SCHEME.match(text)
    scheme = found.group() if found else ""
    hidden, at, rest = text[len(scheme) :].rpartition("@")
    # an "@" may stand in a query, and what follows it there is more of the query
    ends = "[/?#&;=]" if "?" in hidden or "#" in hidden else "[?#]"
    rest = re.split(ends, rest, maxsplit=1)[0]
    place = _PLACE.match(rest)
    if place is not None and place.end() < len(rest):
        rest = f"{place.group(1)}:***"
    return f"{scheme}{'***@' if at else ''}{rest}"
