"""``ProxyMixin``: the proxy setting of ``ProtocolUser``, for Locust's own HTTP users."""

from __future__ import annotations

from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

from collections.abc import Sequence
from typing import Any

from protouser._errors import ConfigurationError
from protouser._http_proxy import HTTP_USERS, route
from protouser._proxy_setting import guard_settings

__all__ = ["ProxyMixin"]


class ProxyMixin:
    """Proxy and TLS settings for Locust's HTTP users: ``class Web(ProxyMixin, HttpUser)``.

    ``verify``, ``ca_file``, ``cert`` and ``key`` mean the same as for the TLS clients here and are
    left to Locust where the class has none. A ``ProtocolUser`` that is an ``HttpUser`` as well goes
    through its proxy without the mix-in.

    Attributes:
        proxy: the URL of a proxy, "env" for that of the environment variables, "direct" for none;
            what ``--protouser-proxy`` says where None. What is set later holds from then on.
        no_proxy: hosts that are reached directly; the user's ``host`` decides.
    """

    proxy: str | None = None
    no_proxy: Sequence[str] = ()

    def __init__(self, environment: Environment) -> None:
        if not isinstance(self, HTTP_USERS):
            name = type(self).__name__
            raise ConfigurationError(
                f"{name}: ProxyMixin is for HttpUser and FastHttpUser, and stands before it:"
                f" class {name}(ProxyMixin, HttpUser); ProtocolUser has proxy itself"
            )
        guard_settings(type(self))
        super().__init__(environment)  # type: ignore[call-arg]  # that of Locust's user
        _use_tls(self)
        route(self)

    def _set_proxy(self, name: str, value: Any) -> None:
        """Called by ``self.proxy = ...`` and its like."""
        inherited = getattr(super(), "_set_proxy", vars(self).__setitem__)
        inherited(name, value)
        if "client" in vars(self):
            route(self)


def _use_tls(user: Any) -> None:
    from protouser.net import TlsOptions  # not before Locust has patched ssl

    given = {name: getattr(user, name) for name in TlsOptions.NAMES if hasattr(user, name)}
    given.pop("server_name", None)
    if not given:
        return
    options = TlsOptions.of(given)
    context = options.context()
    if isinstance(user, FastHttpUser):
        pool: Any = user.client.client.clientpool
        settings = {"ssl_context_factory": lambda: context, "insecure": not options.verify}
        pool.client_args = {**pool.client_args, **settings}
    else:
        user.client.verify = (options.ca_file or True) if options.verify else False
        if options.cert is not None:
            user.client.cert = (options.cert, options.key) if options.key else options.cert
