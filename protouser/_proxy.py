"""Which proxy a connection goes through: the words of a tester, read and checked once.

A proxy is a URL, ``http://user:password@host:port``, ``socks5h://...`` and their like, or one of
two words: "env" for the usual environment variables, "direct" for none. What no proxy can carry is
an error, never a connection past it: a tester who asks for a proxy wants to see the traffic there.
"""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Self
from urllib.request import (  # type: ignore[attr-defined]  # typeshed has it for macOS only
    getproxies_environment,
    proxy_bypass_environment,
)

from protouser._errors import ConfigurationError
from protouser._options import Option
from protouser._url import Url

__all__ = ["PROXY", "Proxy", "cannot_be_proxied", "check_proxy"]

_SCHEMES: Final = ("http", "socks5", "socks5h", "socks4", "socks4a")
_DEFAULT_PORTS: Final = {"http": 8080}
_SOCKS_PORT: Final = 1080
_DIRECT, _ENVIRONMENT = "direct", "env"
_LONGEST_SOCKS_WORD: Final = 255
#: URL schemes that are TLS, for which the environment has a variable of its own.
_OVER_TLS: Final = frozenset({"https", "tls", "wss", "mqtts", "grpcs"})


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, as an adapter passes it to ``open_socket``, ``open_stream`` or ``dial_through``.

    ``str()`` leaves out the password.

    Attributes:
        url: where it is, and the user name and password for it.
    """

    url: Url

    #: The options of a client that can be reached through a proxy.
    NAMES: ClassVar[frozenset[str]] = frozenset({"proxy", "no_proxy"})

    @classmethod
    def parse(cls, text: str | Url) -> Self:
        """Read the URL of a proxy; without a scheme it is one of HTTP.

        Raises:
            ConfigurationError: it is malformed, or no proxy that there is support for.
        """
        try:
            url = Url.parse(text, "http")
        except ConfigurationError as error:
            raise ConfigurationError(f"proxy: {error}") from None
        _check(url)
        if url.port is None:
            url = replace(url, port=_DEFAULT_PORTS.get(url.scheme, _SOCKS_PORT))
        return cls(url)

    @classmethod
    def choose(cls, wanted: Any, no_proxy: Any, url: Url) -> Self | None:
        """The proxy for ``url`` by a tester's words; None where it is to be reached directly.

        Raises:
            ConfigurationError: as for ``parse``.
        """
        if wanted is None or wanted == _DIRECT or _bypassed(url, _listed(no_proxy)):
            return None
        if wanted == _ENVIRONMENT:
            return cls._of_environment(url)
        return cls.parse(wanted)

    @classmethod
    def _of_environment(cls, url: Url) -> Self | None:
        """What the usual variables say: those of the scheme, of HTTP or HTTPS, and of all."""
        given = getproxies_environment()
        if _bypassed(url, [given.get("no", "")]):
            return None
        for name in (url.scheme, "https" if url.scheme in _OVER_TLS else "http", "all"):
            if given.get(name):
                try:
                    return cls.parse(given[name])
                except ConfigurationError as error:
                    raise ConfigurationError(f"the variable {name}_proxy: {error}") from None
        return None

    @property
    def is_socks(self) -> bool:
        """True for SOCKS, False for HTTP."""
        return self.url.scheme != "http"

    @property
    def host(self) -> str:
        """The host that it runs on."""
        return self.url.host

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self.url.port is not None
        return self.url.port

    @property
    def authorization(self) -> str | None:
        """The value of the header Proxy-Authorization, which is secret; None without a user."""
        if self.url.username is None and self.url.password is None:
            return None
        words = f"{self.url.username or ''}:{self.url.password or ''}".encode()
        return f"Basic {base64.b64encode(words).decode()}"

    def __str__(self) -> str:
        return f"the proxy {self.url}"


def check_proxy(text: str) -> str:
    """Read what ``--protouser-proxy`` was given; returns it as it is."""
    if text not in (_DIRECT, _ENVIRONMENT):
        Proxy.parse(text)
    return text


def cannot_be_proxied(owner: str, url: Url) -> ConfigurationError:
    """A proxy is asked for, and this cannot go through one."""
    return ConfigurationError(
        f"{owner}: {url} cannot go through a proxy; write proxy = 'direct' on the user class to"
        " reach it without one"
    )


PROXY: Final = Option(
    "proxy",
    "Reach servers through a proxy: http://, socks5:// or socks5h:// with user:password@host:port,"
    " or env for the usual environment variables. For user classes that set no proxy themselves.",
    metavar="URL",
    check=check_proxy,
)


def _check(url: Url) -> None:
    if url.scheme == "https":
        raise ConfigurationError(
            f"proxy {url}: TLS to the proxy itself is not supported; write http://, what goes"
            " through it may still be TLS"
        )
    if url.scheme not in _SCHEMES:
        raise ConfigurationError(f"proxy {url}: a proxy is one of {', '.join(_SCHEMES)}")
    if not url.host:
        raise ConfigurationError(f"proxy {url} names no host; write {url.scheme}://host:port")
    if url.path not in ("", "/") or url.query:
        raise ConfigurationError(f"proxy {url}: a proxy has no path; write a '/' of a password %2F")
    if url.scheme != "http":
        _check_socks(url)
    elif ":" in (url.username or ""):
        raise ConfigurationError(f"proxy {url}: a user name for HTTP has no ':' in it")


def _check_socks(url: Url) -> None:
    if importlib.util.find_spec("python_socks") is None:
        raise ConfigurationError(
            f"proxy {url}: SOCKS needs a library; try: pip install 'protouser[socks]'"
        )
    version_5 = url.scheme.startswith("socks5")
    if version_5 and bool(url.username) != bool(url.password):
        raise ConfigurationError(f"proxy {url}: SOCKS 5 takes user name and password, or neither")
    if not version_5 and url.password is not None:
        raise ConfigurationError(f"proxy {url}: SOCKS 4 knows no password; use socks5://")
    for word in (url.username or "", url.password or ""):
        if not word.isascii() or len(word) > _LONGEST_SOCKS_WORD:
            raise ConfigurationError(
                f"proxy {url}: user name and password are ASCII, and at most 255 characters each"
            )


def _listed(no_proxy: Any) -> list[str]:
    names = [no_proxy] if isinstance(no_proxy, str) else no_proxy or []
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(
            f"no_proxy={no_proxy!r}; it is a list of hosts, such as ['localhost', '.example.org']"
        )
    return list(names)


def _bypassed(url: Url, names: list[str]) -> bool:
    """True where a name is that of the host, a domain above it, "host:port", or "*"."""
    names = [name.strip() for name in ",".join(names).split(",")]
    if "*" in names:
        return True
    host = f"[{url.host}]" if ":" in url.host else url.host
    place = host if url.port is None else f"{host}:{url.port}"
    return bool(proxy_bypass_environment(place, {"no": ",".join(names)}))
