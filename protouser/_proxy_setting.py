"""Where a tester writes which proxy he wants, and when that is checked.

On a user class, in ``prepare``, as ``--protouser-proxy``; the nearer one holds. A connection that
is there goes on as it was made, so a setting that comes after it would be a silent lie: it is an
error.
"""

from __future__ import annotations

from locust import User

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from protouser._errors import ConfigurationError
from protouser._http_proxy import HTTP_USERS, check_route
from protouser._proxy import PROXY, Proxy, check_proxy
from protouser._url import Url

if TYPE_CHECKING:
    from protouser._client import ProtocolClient

__all__ = ["check_http_users", "check_setting", "guard_settings", "set_too_late"]


class _Setting:
    """A class attribute whose users are asked when one of them gets another value for himself."""

    def __init__(self, name: str, default: Any) -> None:
        self._name = name
        self._default = default

    def __get__(self, user: Any, owner: type | None = None) -> Any:
        return self._default if user is None else vars(user).get(self._name, self._default)

    def __set__(self, user: Any, value: Any) -> None:
        user._set_proxy(self._name, value)


def guard_settings(kind: type) -> None:
    """Have users of this class asked about ``proxy`` and ``no_proxy``; safe to call again."""
    for name in Proxy.NAMES:
        value = inspect.getattr_static(kind, name)
        if not hasattr(type(value), "__get__"):  # it is no property of the tester's, nor ours
            setattr(kind, name, _Setting(name, value))


def set_too_late(owner: str, name: str) -> ConfigurationError:
    """A user who has connected is told of another proxy."""
    return ConfigurationError(
        f"{owner}.{name} was set after connecting, which has no effect any more; set it on the"
        " class, or in prepare()"
    )


def check_setting(
    kind: Any, client_class: type[ProtocolClient] | None, host: str | None, wanted: Any
) -> None:
    """Read the proxy of a user class; ``wanted`` is that of ``--protouser-proxy``.

    Raises:
        ConfigurationError: it is no proxy, or what opens ``host`` cannot go through one.
    """
    own = kind.proxy
    if isinstance(own, property):
        return
    wanted = wanted if own is None else own
    try:
        if wanted is not None:
            check_proxy(wanted)
        if client_class is not None and host is not None:
            client_class.choose_proxy(client_class.parse_url(host), wanted, kind.no_proxy)
        elif issubclass(kind, HTTP_USERS) and kind.host:
            check_route(kind, Proxy.choose(wanted, kind.no_proxy, Url.parse(kind.host)))
    except ConfigurationError as error:
        raise ConfigurationError(f"{kind.__name__}: {error}") from None


def check_http_users(kinds: Iterable[type[User]], wanted: Any) -> None:
    """Read the proxies of Locust's own HTTP users, and refuse those that the option cannot reach.

    Raises:
        ConfigurationError: there is one that ``--protouser-proxy`` would not reach, or what the
            class says is no proxy.
    """
    for kind in kinds:
        if not issubclass(kind, HTTP_USERS):
            continue
        if hasattr(kind, "_set_proxy"):
            check_setting(kind, None, None, wanted)
        elif wanted not in (None, "direct"):
            raise ConfigurationError(
                f"{PROXY.flag} does not reach {kind.__name__}, which is Locust's own; write class"
                f" {kind.__name__}(ProxyMixin, HttpUser) with the ProxyMixin of protouser"
            )
