"""Whether somebody answers where the users are going to connect."""

from __future__ import annotations

from locust import User

from collections.abc import Iterator, Sequence
from typing import Any, Final

import gevent

from protouser._call import now
from protouser._duration import duration
from protouser._errors import ConfigurationError, ProtouserError
from protouser._url import Url
from protouser._user import ProtocolUser
from protouser.doctor._finding import FINE, NOTE, PROBLEM, Finding
from protouser.net import Proxy, dial, dial_through

__all__ = ["hosts"]

_PATIENCE: Final = 5.0
_HTTP_PORTS: Final = {"http": 80, "https": 443}


class _NoHostError(Exception):
    """A class that is to open its host has none."""


def hosts(user_classes: Sequence[type[User]], given: str | None) -> Iterator[Finding]:
    """Connect once for each user class, as its first user would, and close again."""
    for user_class in user_classes:
        yield _examine(user_class, given)


def _examine(user_class: type[User], given: str | None) -> Finding:
    name = user_class.__name__
    began = now()
    try:
        with gevent.Timeout(_PATIENCE + 1):
            place = _reach(user_class, given)
    except gevent.Timeout:
        return Finding(PROBLEM, "hosts", f"{name}: no answer in time", "is the server well?")
    except _NoHostError:
        text = f"{name} has no host to connect to"
        return Finding(PROBLEM, "hosts", text, "write host = ... on it, or give --host")
    except (ProtouserError, OSError) as error:
        remedy = "" if ";" in str(error) else "start the server, or mend the host"
        return Finding(PROBLEM, "hosts", f"{name}: {error}", remedy)
    if place is None:
        text = f"{name} names no host that could be tried"
        return Finding(NOTE, "hosts", text, "--try 3 runs its tasks for 3 s, wherever they connect")
    return Finding(FINE, "hosts", f"{name}: {place} answers ({duration((now() - began) * 1e9)})")


def _reach(user_class: type[User], given: str | None) -> str | None:
    """Connect and close; where that was, or None where nobody but the class knows how."""
    if issubclass(user_class, ProtocolUser):
        host: Any = given if given and user_class.accepts_host(given) else user_class.host
        if user_class.connect is ProtocolUser.connect and user_class._opens(host, given):
            return _open(user_class, host)
        if user_class.connect is not ProtocolUser.connect:
            return None
        if user_class.client_class is not None and not host:
            raise _NoHostError
    host = given or user_class.host
    return _dial(str(host), user_class) if host else None


def _open(user_class: type[ProtocolUser], host: str) -> str:
    client_class = user_class._class_for(host)
    names = client_class.option_names
    given = {name: getattr(user_class, name) for name in names if hasattr(user_class, name)}
    options = {name: value for name, value in given.items() if not isinstance(value, property)}
    with client_class(host, **{**options, "timeout": _PATIENCE}) as client:
        client.open()
        return str(client.url)


def _dial(host: str, user_class: Any) -> str | None:
    try:
        url = Url.parse(host)
    except ConfigurationError:
        return None  # of a User that is not ours: its host may be anything
    port = url.port or _HTTP_PORTS.get(url.scheme)
    if port is None:
        return None
    proxy = _proxy_of(user_class, url)
    if proxy is not None and url.scheme == "http" and not proxy.is_socks:  # makes no tunnel
        dial(proxy.host, proxy.port, timeout=_PATIENCE, peer=str(proxy)).close()
        return str(proxy)
    dial_through(proxy, url.host, port, timeout=_PATIENCE, peer=str(url)).close()
    return str(url)


def _proxy_of(user_class: Any, url: Url) -> Proxy | None:
    wanted = getattr(user_class, "proxy", None)
    if isinstance(wanted, property):  # each user has its own
        return None
    return Proxy.choose(wanted, getattr(user_class, "no_proxy", None), url)
