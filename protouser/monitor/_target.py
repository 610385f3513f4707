"""Where figures come from: ``NAME=URL#SELECTORS``."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import unquote

from protouser._errors import ConfigurationError
from protouser._url import Url
from protouser.monitor._samples import library
from protouser.monitor._selector import DEFAULT, Selector

__all__ = ["Target", "checked"]

_NAME: Final = re.compile(r"[A-Za-z][\w-]*")


@dataclass(frozen=True, slots=True)
class Target:
    """An exporter in the text format of Prometheus.

    Attributes:
        name: what its figures are called by.
        url: where it is asked, without a password.
        shown: the same for messages.
        authorization: the header for it, from the password of the URL; empty where it has none.
        selectors: what is watched.
    """

    name: str
    url: str = field(repr=False)
    shown: str
    authorization: str = field(repr=False, default="")
    selectors: tuple[Selector, ...] = DEFAULT

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``db=http://db:9100/metrics``, with ``#SELECTORS`` where the usual do not serve.

        ``http://user:password@...`` is sent as basic authentication, ``http://:token@...`` as a
        bearer token. A URL without a path is asked for ``/metrics``.

        Raises:
            ConfigurationError: it names what is wrong.
        """
        name, separator, address = text.partition("=")
        if not separator or not _NAME.fullmatch(name):
            raise ConfigurationError(
                "a monitor is NAME=URL, such as db=http://127.0.0.1:9100/metrics"
            )
        address, _, selectors = address.partition("#")
        url = Url.parse(address, "http")
        if url.scheme not in ("http", "https"):
            raise ConfigurationError(f"{url} is no http:// or https:// address")
        place = re.sub(r"^(\w+://)?([^/@]*@)?", "", address.strip()).rstrip("/")
        place = place if "/" in place else f"{place}/metrics"
        chosen = Selector.parse_all(unquote(selectors)) if selectors else DEFAULT
        bare = f"{url.scheme}://{place}"
        return cls(name, bare, str(url), _authorization(url), chosen)


def checked(text: str) -> str:
    """The text itself, for an option; raises as ``Target.parse`` and ``library`` do."""
    library()
    Target.parse(text)
    return text


def _authorization(url: Url) -> str:
    if url.password is None:
        return ""
    if not url.username:
        return f"Bearer {url.password}"
    pair = f"{url.username}:{url.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
