"""A client of one backend: what an adapter is.

An adapter subclasses ``ProtocolClient``, opens its connection in ``connect`` and does its I/O
inside ``measure`` or ``perform``; timing, outcomes, hooks, closing and the registry are the
core's. A client registers with its user's resources, so any number of them live in one user;
without a user (``open_client`` in a script or a test) it is closed by its caller.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypedDict

from protouser._call import Call, get_thread_ident
from protouser._checks import Check
from protouser._closing import close_in_time
from protouser._errors import ConfigurationError, ConnectFailed, ConnectionLost, ProtouserError
from protouser._executors import Stamp
from protouser._hooks import DISCONNECT
from protouser._keywords import refuse_keywords
from protouser._measured import apply_stamp
from protouser._near import did_you_mean
from protouser._options import option
from protouser._proxy import PROXY, Proxy, cannot_be_proxied
from protouser._request import Request
from protouser._session import Session
from protouser._url import Url
from protouser._watchdog import debugger_attached

if TYPE_CHECKING:
    from protouser._user import ProtocolUser

__all__ = ["CONTRACT", "CallOptions", "ProtocolClient"]

#: The version of what the core and an adapter expect of each other.
CONTRACT = 1


class CallOptions(TypedDict, total=False):
    """What every timed method of a client takes, and passes on to ``perform``.

    ``name`` of the row, ``check`` of the result, ``context`` of the event, and
    ``catch_response``, which returns the finished call for a ``with`` block that decides.
    """

    name: str | None
    check: Check | None
    context: dict[str, Any] | None
    catch_response: bool


class ProtocolClient:
    """Base of every adapter's client.

    Attributes:
        protocol: Locust's "Type" column.
        schemes: the URL schemes it owns; its protocol's name where empty.
        default_port: the port of a URL that names none.
        contract: the version of this contract that the adapter was written for.
        descriptors: how many file descriptors a client holds open.
        option_names: the keyword options it understands besides ``timeout``.
        timeout: seconds that a call may take where the call does not say; None under a debugger,
            where nobody is to be hurried.
        close_timeout: seconds that closing may take.
        url: where the backend is.
        options: the options it was opened with.
        resources: what ``connect`` opens goes here, and is closed exactly once.
        connecting: the running ``connect`` call, for its phases; None otherwise.
        user: the ``ProtocolUser`` it belongs to, or None.
    """

    protocol: ClassVar[str] = ""
    schemes: ClassVar[tuple[str, ...]] = ()
    default_port: ClassVar[int | None] = None
    contract: ClassVar[int] = CONTRACT
    descriptors: ClassVar[int] = 1
    option_names: ClassVar[frozenset[str]] = frozenset()
    timeout: float | None = 30.0
    close_timeout: float = 3.0

    def __init__(
        self,
        url: str | Url,
        *,
        user: ProtocolUser | None = None,
        session: Session | None = None,
        **options: Any,
    ) -> None:
        self.url = self.parse_url(url)
        self.user = user
        self._owns_session = session is None and user is None
        self.session = session or (user._session if user is not None else Session())
        self.resources = ExitStack()
        self.connecting: Call | None = None
        if debugger_attached():
            self.timeout = None
        self.options = self._accepted(options)
        self._proxy = self._chosen_proxy()

    @classmethod
    def accepted_schemes(cls) -> tuple[str, ...]:
        """The URL schemes that this class answers for."""
        return cls.schemes or (cls.protocol,)

    @classmethod
    def accepts(cls, url: str) -> bool:
        """True when ``url`` has one of its schemes, or none at all."""
        scheme, separator, _ = url.partition("://")
        return not separator or scheme.lower() in cls.accepted_schemes()

    @classmethod
    def parse_url(cls, url: str | Url) -> Url:
        """``url`` as this client understands it, with its default port filled in.

        Raises:
            ConfigurationError: it is malformed, or of another protocol.
        """
        parsed = Url.parse(url, cls.accepted_schemes()[0])
        if parsed.scheme not in cls.accepted_schemes():
            raise ConfigurationError(
                f"{cls.__name__} speaks {', '.join(cls.accepted_schemes())},"
                f" not {parsed.scheme!r} ({parsed})"
            )
        if parsed.port is None and cls.default_port is not None:
            return replace(parsed, port=cls.default_port)
        return parsed

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Refuse what no client can be opened with; for adapters to extend, without any I/O.

        ``options`` are those on a user's class, before the load starts.

        Raises:
            ConfigurationError: an option has a value that it cannot have.
        """
        for name in ("timeout", "close_timeout"):
            if name in options:
                _seconds(name, options[name])

    @classmethod
    def choose_proxy(cls, url: Url, wanted: Any, no_proxy: Any = None) -> Proxy | None:
        """The proxy that a client of this class goes through to ``url``, by a tester's words.

        Raises:
            ConfigurationError: they name none, or this cannot go through one.
        """
        proxy = Proxy.choose(wanted, no_proxy, url)
        if proxy is not None and not (url.host and cls.option_names >= Proxy.NAMES):
            raise cannot_be_proxied(cls.__name__, url)
        return proxy

    @property
    def proxy(self) -> Proxy | None:
        """The proxy that ``connect`` is to go through; None for a direct connection.

        That of the option, or the user's, or else that of ``--protouser-proxy``. It cannot be set.
        """
        return self._proxy

    @property
    def proxies(self) -> NoReturn:
        """Not there; it would be set as that of ``requests`` is, when it is too late.

        Raises:
            ConfigurationError: always, with what to write instead.
        """
        raise ConfigurationError(_TOO_LATE)

    @proxies.setter
    def proxies(self, _given: Any) -> NoReturn:
        raise ConfigurationError(_TOO_LATE)

    def connect(self) -> None:
        """Open the connection; called inside a measured call named "connect"."""

    def connect_request(self) -> Request:
        """What the hooks of a "connect" see as ``call.request``, and ``connect`` reads again."""
        return Request(None, self.timeout)

    def open(self) -> Self:
        """Connect, as a row "connect" of this protocol; what a failed attempt opened is closed.

        Raises:
            ProtouserError: or whatever the adapter's ``connect`` raises; it was reported.
        """
        if self.user is not None:
            self.user._clients[self] = None
        self.connecting = self.measure("connect", request=self.connect_request())
        self.connecting.peer = str(self.url) + (f" through {self._proxy}" if self._proxy else "")
        resources = self.resources
        try:
            with self.connecting:
                self._connect()
                if self.resources is not resources:
                    raise ConnectionLost(f"the client of {self.url} was closed while it connected")
        except BaseException:
            self.close()
            raise
        finally:
            self.connecting = None
        return self

    def _connect(self) -> None:
        try:
            self.connect()
        except ProtouserError:
            raise
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            raise ConnectFailed(f"cannot connect to {self.url}: {reason}") from error

    def reopen(self) -> Self:
        """Close what is left of the connection and connect again, as a row of its own."""
        self.close()
        return self.open()

    def close(self) -> None:
        """Close what ``connect`` opened, within ``close_timeout``. Safe to call twice."""
        owner = f"{self.protocol} client of {self.url}"
        close_in_time([self.shut], self.close_timeout, owner)
        if self._owns_session:
            self.session.close()

    def shut(self) -> None:
        """Close what ``connect`` opened, however long it takes; ``close`` limits the time."""
        if self.user is not None:
            self.user._clients.pop(self, None)
        resources, self.resources = self.resources, ExitStack()
        resources.close()

    def measure(
        self,
        name: str,
        *,
        request: Any = None,
        check: Check | None = None,
        context: dict[str, Any] | None = None,
        one_way: bool = False,
    ) -> Call:
        """A call of this client's protocol, to be used as a context manager.

        ``one_way`` is for what has no answer: it is counted, and has no response time.
        """
        return Call(self.session, self.protocol, name, self.user, request, check, context, one_way)

    def perform(
        self,
        row: str,
        work: Callable[[Call], Any],
        /,
        *,
        name: str | None = None,
        request: Any = None,
        check: Check | None = None,
        context: dict[str, Any] | None = None,
        one_way: bool = False,
        catch_response: bool = False,
        **unknown: Any,
    ) -> Any:
        """Do ``work(call)`` inside a measured call and return its result.

        ``name`` is what the user called the row, if he did. The work takes what it sends from
        ``call.request``, which a hook may have changed. With ``catch_response`` the finished
        call itself is returned, for a ``with`` block that decides. A keyword that is ``unknown``
        here is refused in the name of the method that handed it on.
        """
        if unknown:
            refuse_keywords(unknown, CallOptions.__annotations__, row)
        if get_thread_ident() != self.session.thread:
            raise ProtouserError(
                f"the {self.protocol} client was used in an async task or a native thread;"
                " use it in a plain task, or an asyncio library in the async one"
            )
        row = name or row
        call = Call(self.session, self.protocol, row, self.user, request, check, context, one_way)
        if catch_response:
            return call.hold(work)
        return call.run(work)

    def in_thread(self, call: Call, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a blocking function in a native thread; ``call`` is measured around it there.

        Only this user waits. Waiting for a free thread is the series "queue".
        """
        stamp = Stamp()
        try:
            return self.session.executor("thread").call(function, args, kwargs, stamp)
        finally:
            apply_stamp(stamp, call)

    def after_task(self, function: Callable[[], object]) -> None:
        """Have ``function()`` called whenever a task of its user has ended; for ``connect``.

        It is called in the user's greenlet, however the task ended, until this client is closed;
        it must not raise. Without a user nobody calls it.
        """
        if self.user is not None:
            functions = self.user._after_task
            functions.append(function)
            self.resources.callback(functions.remove, function)

    @property
    def hears_of_end(self) -> bool:
        """True when its user has hooks for the end of a connection, ``@on_disconnect``."""
        user = self.user
        hooks = None if user is None else self.session.hooks_of(type(user))
        return hooks is not None and bool(hooks.listeners(DISCONNECT, user, self.protocol))

    def disconnected(self, error: BaseException) -> None:
        """A connection has ended that the user did not close: run the hooks for that.

        For engines, in the hub; the hooks have greenlets of their own.
        """
        user = self.user
        if user is not None:
            hooks = self.session.hooks_of(type(user))
            for _, function in hooks.listeners(DISCONNECT, user, self.protocol):
                user.spawn(function, self, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _chosen_proxy(self) -> Proxy | None:
        wanted, no_proxy = self.options.get("proxy"), self.options.get("no_proxy")
        if self.user is not None:
            wanted = self.user.proxy if wanted is None else wanted
            no_proxy = self.user.no_proxy if no_proxy is None else no_proxy
        if wanted is None:
            wanted = option(self.session.environment, PROXY)
        return self.choose_proxy(self.url, wanted, no_proxy)

    def _accepted(self, options: dict[str, Any]) -> dict[str, Any]:
        known = self.option_names | {"timeout", "close_timeout"}
        for name in options:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ConfigurationError(f"{type(self).__name__} has no option {name!r}{hint}")
        for name in ("timeout", "close_timeout"):
            if name in options:
                setattr(self, name, _seconds(name, options[name]))
        return options


_TOO_LATE = (
    "a client connects before it can be told of a proxy; write proxy = 'http://host:port' on the"
    " user class, or self.proxy = ... in prepare()"
)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, int | float) and value > 0:
        return value
    raise ConfigurationError(f"{name}={value!r} is no number of seconds above 0")
