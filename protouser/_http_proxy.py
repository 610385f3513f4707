"""Locust's own HTTP users through a proxy: what their two client libraries can do.

Locust keeps ``requests`` from looking at the environment, so that no proxy is used by accident;
here it is told of the one that was asked for.
"""

from __future__ import annotations

from locust import HttpUser
from locust.contrib.fasthttp import FastHttpUser

import importlib.util
import inspect
from typing import Any, Final
from urllib.parse import quote

from geventhttpclient.client import HTTPClient

from protouser._errors import ConfigurationError
from protouser._options import option
from protouser._proxy import PROXY, Proxy
from protouser._url import Url

__all__ = ["HTTP_USERS", "check_route", "route"]

#: Users whose ``host`` and ``client`` are Locust's own.
HTTP_USERS: Final = (HttpUser, FastHttpUser)

_TAKES_CREDENTIALS: Final = "proxy_user" in inspect.signature(HTTPClient.__init__).parameters


def route(user: Any) -> None:
    """Have the HTTP client of a user go through the user's proxy from now on.

    Raises:
        ConfigurationError: it is no proxy, or the client's library cannot go through it.
    """
    wanted = option(user.environment, PROXY) if user.proxy is None else user.proxy
    if wanted is None:
        return
    proxy = Proxy.choose(wanted, user.no_proxy, Url.parse(user.host))
    check_route(type(user), proxy)
    if isinstance(user, FastHttpUser):
        arguments = {} if proxy is None else _fast_arguments(proxy)
        pool: Any = user.client.client.clientpool
        pool.close()
        pool.client_args = {**_without_proxy(pool.client_args), **arguments}
    else:
        text = None if proxy is None else _with_password(proxy)
        user.client.proxies = {} if text is None else {"http": text, "https": text}


def check_route(kind: type, proxy: Proxy | None) -> None:
    """Whether Locust's HTTP users of this class can go through a proxy.

    Raises:
        ConfigurationError: the library that they use cannot.
    """
    if proxy is None:
        return
    if issubclass(kind, FastHttpUser):
        _check_fast(kind, proxy)
    elif proxy.is_socks and importlib.util.find_spec("socks") is None:
        raise ConfigurationError(
            f"{kind.__name__}: HttpUser goes through {proxy} with PySocks, which is not installed;"
            " try: pip install 'protouser[socks]'"
        )


def _check_fast(kind: type[FastHttpUser], proxy: Proxy) -> None:
    problem = None
    if proxy.is_socks:
        problem = "FastHttpUser has no SOCKS; use HttpUser, or a proxy of HTTP"
    elif kind.client_pool is not None:
        problem = "a client_pool that users share has its proxy from HTTPClientPool(proxy_host=...)"
    elif proxy.url.username is not None and not _TAKES_CREDENTIALS:
        problem = "this geventhttpclient knows no user name for a proxy; install a newer one"
    if problem is not None:
        raise ConfigurationError(f"{kind.__name__}: {proxy}: {problem}")


def _fast_arguments(proxy: Proxy) -> dict[str, Any]:
    arguments: dict[str, Any] = {"proxy_host": proxy.host, "proxy_port": proxy.port}
    if proxy.url.username is not None:
        arguments["proxy_user"] = proxy.url.username
        arguments["proxy_password"] = proxy.url.password
    return arguments


def _without_proxy(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if not name.startswith("proxy_")}


def _with_password(proxy: Proxy) -> str:
    """The URL as ``requests`` takes it; for nobody to see."""
    url = proxy.url
    user = "" if url.username is None else quote(url.username, "")
    if url.password is not None:
        user += f":{quote(url.password, '')}"
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{user}{user and '@'}{host}:{url.port}"
