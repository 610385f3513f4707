"""``ProtocolUser``: a Locust user whose calls are measured, whatever they are made with."""

from __future__ import annotations

from locust import User
from locust.env import Environment
from locust.exception import StopTest, StopUser

import functools
import logging
import operator
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar, TypeGuard

import gevent

from protouser import _lifecycle
from protouser._attach import attach
from protouser._barrier import wait_for_all
from protouser._call import Call
from protouser._checks import Check
from protouser._chosen_hooks import CallHooks
from protouser._client import ProtocolClient
from protouser._closing import close_in_time
from protouser._errors import CallTimeout, ConfigurationError
from protouser._http_proxy import HTTP_USERS, route
from protouser._proxy_setting import check_setting, guard_settings, set_too_late
from protouser._registry import client_class_for, is_registered
from protouser._schedule import Iteration, Turns
from protouser._steering import ENDINGS, steers_locust
from protouser._sys_exit import pass_on
from protouser._timed import TimedMethods, wrap
from protouser._transaction import Transaction
from protouser._trend import Trend
from protouser._warm_up import WarmUp

__all__ = ["ProtocolUser"]

logger = logging.getLogger(__name__)

_REMEMBERED_FAILURES = 4


class ProtocolUser(User):
    """A user of anything: it measures calls, and opens clients that measure themselves.

    Life: ``prepare()`` once, untimed; ``connect()``, per attempt; ``on_start()``; tasks;
    ``on_stop()``; then everything that was opened is closed, on every way out. No method needs
    ``super()``.

    Attributes:
        protocol: Locust's "Type" column for calls that the user measures; the class's name where
            it is empty.
        client_class: the client that ``host`` is opened with; found by the scheme where None.
        client: the client of ``host``, once connected.
        resources: an exit stack for what ``connect`` and ``on_start`` open themselves; it is
            unwound on every way out, and after a failed attempt to connect.
        connect_attempts: how often ``connect`` is tried before the user ends.
        connect_backoff: seconds before the second attempt; doubled for each further one.
        close_timeout: seconds that closing may take.
        iterations: how many tasks all users of the class together start in a test, over all
            processes; then they stop, and the test with the last of them. None for no limit.
        warm_up: what each user's calls count apart, in no percentile: seconds since it is
            connected, as in 10 or "10s", or a number of calls, as in "20 calls". Locust's own
            table has them all the same.
        proxy: the URL of a proxy for every client, "env" for that of the environment variables,
            "direct" for none; what ``--protouser-proxy`` says where None. To be set in ``prepare``
            at the latest.
        no_proxy: hosts that are reached directly, such as [".example.org", "localhost:8000"].
    """

    abstract = True
    protocol: str = ""
    client_class: ClassVar[type[ProtocolClient] | None] = None
    client: Any = None
    connect_attempts: int = 1
    connect_backoff: float = 1.0
    close_timeout: float = 3.0
    iterations: ClassVar[int | None] = None
    warm_up: float | str = 0
    _warm_up: WarmUp | None = None
    proxy: str | None = None
    no_proxy: Sequence[str] = ()
    _transaction: Transaction | None = None
    _has_context: ClassVar[bool] = False
    _declared_host: ClassVar[str | None] = None
    _turns: Turns | None = None
    _iteration: Iteration | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._has_context = cls.context is not User.context
        # Locust writes --host into every class, so what the class said itself is kept here.
        cls._declared_host = cls.host

    def __init__(self, environment: Environment) -> None:
        self._session = attach(environment)
        guard_settings(type(self))
        self._hooks: CallHooks | None = self._session.hooks_of(type(self)).of_calls
        self.resources = ExitStack()
        self._clients: dict[ProtocolClient, None] = {}
        self._listeners: dict[Hashable, ProtocolClient] = {}
        self._open_calls: set[Call] = set()
        self._after_task: list[Callable[[], object]] = []
        self._reported: deque[BaseException] = deque(maxlen=_REMEMBERED_FAILURES)
        self._started = False
        self._greenlets: set[gevent.Greenlet[..., Any]] = set()
        self._call_type = self.protocol or type(self).__name__
        self.host = self._reachable_host(environment.host)  # HttpUser reads it when it is made
        super().__init__(environment)
        self._use_proxy()
        self.on_start = functools.partial(_lifecycle.start, self)  # type: ignore[method-assign]
        self.on_stop = functools.partial(_lifecycle.stop, self)  # type: ignore[method-assign]

    def prepare(self) -> None:
        """Override for what comes before connecting and is not timed: data, certificates, proxy."""

    def connect(self) -> None:
        """Open ``host`` as ``self.client``; override to open something else, or several."""
        if self._opens(self.host, self.environment.host):
            self.client = self.open(self.host)

    def open(self, url: str, **options: Any) -> Any:
        """A connected client for ``url``, closed with this user; a row "connect" of its protocol.

        Options that the class has as attributes are passed on where they are not given.

        Raises:
            ConfigurationError: the URL is malformed, or nobody owns its scheme.
            ConnectFailed: or whatever else the adapter raises; it was reported.
        """
        client_class = self._class_for(url)
        for name in client_class.option_names | {"timeout"}:
            if name not in options and hasattr(self, name):
                options[name] = getattr(self, name)
        return client_class(url, user=self, **options).open()

    def measure(
        self,
        name: str,
        *,
        request: Any = None,
        check: Check | None = None,
        context: dict[str, Any] | None = None,
        one_way: bool = False,
    ) -> Call:
        """A call of the user's protocol, to be used as a context manager.

        An exception that leaves the block fails the call and goes on. ``check`` is applied to
        ``call.response``. ``one_way`` is counted and has no response time.
        """
        return Call(self._session, self._call_type, name, self, request, check, context, one_way)

    def transaction(self, name: str, *, context: dict[str, Any] | None = None) -> Transaction:
        """Group calls: a ``with`` block that is one row of type "transaction".

        Its time is that of the whole block; the time in its calls is the series "calls". It fails
        when one of them does, in whatever greenlet of this user; blocks may stand in each other.
        """
        return Transaction(self, name, context)

    def begin(self, name: str, **options: Any) -> Call:
        """A running call that ``call.end()`` ends: elsewhere, in a callback, in a native thread.

        What is still running when the user ends is counted as cancelled.
        """
        return self.measure(name, **options).begin()

    def timed(
        self,
        target: Any,
        *args: Any,
        names: Any = None,
        check: Any = None,
        only: Any = None,
        run: str | None = None,
        length: Callable[[Any], int] | None = None,
    ) -> Any:
        """``target`` with every call measured: a function, an object, or a class to construct.

        An object's public methods become rows by their names, those of nested clients as
        ``orders.get``. Results that are generators, iterators or async iterators are measured as
        streams, whose check gets the number of items. ``async def`` runs on an asyncio loop in a
        native thread.

        Args:
            target: a callable, an object, or a class, which is constructed where it will run.
            args: what a class is constructed with.
            names: row names by method, or a function of the method's name; a string for a function.
            check: a predicate of the result, or predicates by method; false or raising fails.
            only: the methods to measure; others pass through.
            run: "thread" (native pool, for blocking C libraries), "pinned" (one native thread for
                this object), or "asyncio"; found out where it can be.
            length: the response length of a result; ``len()`` where it has one.
        """
        options = TimedMethods(names=names, check=check, only=only, run=run, length=length)
        return wrap(self, target, args, options)

    def spawn(
        self, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> gevent.Greenlet[..., Any]:
        """A greenlet that ends with this user; what it raises is logged and counted as an error."""
        greenlet = gevent.spawn(self._run_spawned, function, *args, **kwargs)
        self._greenlets.add(greenlet)
        greenlet.rawlink(self._greenlets.discard)
        return greenlet

    def wait_for_all(
        self, name: str, *, timeout: float | None = 60.0, among: Sequence[type[User]] = ()
    ) -> None:
        """Wait until every user of this class, on all workers, waits here: all connected, then go.

        Users that have ended are not waited for. A gate opens once in a test; who comes later goes
        through. The wait has no response time; it is the series "wait" of a row of its own.

        Args:
            name: which gate.
            timeout: seconds that this user waits at most; they include the ramp-up.
            among: further classes whose users are waited for, and wait with the same ``name``.

        Raises:
            CallTimeout: somebody did not come in time; it says how many did.
        """
        wait_for_all(self, name, timeout, among)

    def count(self, name: str, value: int = 1) -> None:
        """Add to a counter of the tester's own, summed over all users and workers."""
        self._session.in_hub(self._session.add, "", "", name, operator.index(value))

    def trend(self, name: str) -> Trend:
        """A figure of the tester's own with percentiles, merged over all users and workers."""
        return Trend(self._session, name)

    def _use_proxy(self) -> None:
        """Have Locust's own HTTP client go where ours do."""
        if isinstance(self, HTTP_USERS):
            route(self)

    def _set_proxy(self, name: str, value: Any) -> None:
        """Called by ``self.proxy = ...`` and its like."""
        if self._clients:
            raise set_too_late(type(self).__name__, name)
        vars(self)[name] = value

    def _has_reported(self, error: BaseException) -> bool:
        """True when a call of this task was already reported as failed by this very exception."""
        return any(error is reported for reported in self._reported)

    def _cancel_left(self) -> None:
        """Cancel the streams that were not left by their reader: a kill unwound the stack."""
        for call in [call for call in self._open_calls if call.left]:
            call.cancel()

    def _release(self) -> None:
        """End what an attempt to connect has opened and spawned; the next one does it anew."""
        self._settle_calls()
        resources, self.resources = self.resources, ExitStack()
        clients = list(reversed(self._clients))
        self._clients.clear()
        self._listeners.clear()
        closers = [self._end_greenlets, resources.close, *(client.shut for client in clients)]
        close_in_time(closers, self.close_timeout, type(self).__name__)

    def _close(self) -> None:
        """End what belongs to this user: greenlets, calls, connections. Safe to call twice."""
        self._release()
        self._settle_calls()  # what closing has ended, or begun

    def _settle_calls(self) -> None:
        gevent.killall(list(self._greenlets), block=False)
        for call in list(self._open_calls):
            if call.left:
                call.end()
            else:
                call.cancel()

    def _end_greenlets(self) -> None:
        gevent.joinall(list(self._greenlets), timeout=self.close_timeout / 2)

    def _run_spawned(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (StopUser, StopTest):
            self.stop()
        except ENDINGS as ending:
            pass_on(self, ending)
        except BaseException as error:  # noqa: BLE001  nobody else would tell of it
            if not steers_locust(error) and not self._has_reported(error):
                self._tell_of_spawned(error)
        return None

    def _tell_of_spawned(self, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error)).rstrip()
        logger.error("%s: a spawned greenlet failed:\n%s", type(self).__name__, text)
        if isinstance(error, gevent.Timeout):  # Locust's tables take an Exception
            error = CallTimeout(f"a gevent.Timeout ({error}) ended a spawned greenlet")
        self.environment.events.user_error.fire(
            user_instance=self, exception=error, tb=error.__traceback__
        )

    def _reachable_host(self, given: str | None) -> str | None:
        """The host that Locust set, unless it is for users of another protocol."""
        if not given or self.host != given or self.accepts_host(given):
            return self.host
        return self._declared_host

    @classmethod
    def accepts_host(cls, host: str) -> bool:
        """True when ``--host`` can be meant for this class: its scheme fits, or it has none."""
        if cls.client_class is not None:
            return cls.client_class.accepts(host)
        if issubclass(cls, HTTP_USERS):
            return host.startswith(("http://", "https://"))
        declared, separator, _ = (cls._declared_host or "").partition("://")
        return not separator or host.partition("://")[0] == declared

    @classmethod
    def check_host(cls, given: str | None) -> None:
        """Read the host that this class will open, before the load starts.

        Raises:
            ConfigurationError: it is malformed, or nobody owns its scheme.
        """
        host = cls._host_to_open(given)
        if host is None:
            return
        try:
            cls._class_for(host).parse_url(host)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{cls.__name__}: {error}; a class that connects by itself overrides connect()"
            ) from None

    @classmethod
    def check_proxy(cls, given: str | None, wanted: Any) -> None:
        """Read the proxy that this class goes through, before the load starts.

        ``wanted`` is what ``--protouser-proxy`` says, ``given`` what ``--host`` does.

        Raises:
            ConfigurationError: it is no proxy, or the client of its host cannot go through one.
        """
        host = cls._host_to_open(given)
        client_class = None if host is None else cls._class_for(host)
        check_setting(cls, client_class, host, wanted)

    @classmethod
    def _host_to_open(cls, given: str | None) -> str | None:
        """What the default ``connect`` opens; None where it opens nothing, or is overridden."""
        host = given if given and cls.accepts_host(given) else cls.host
        if cls.connect is not ProtocolUser.connect or not cls._opens(host, given):
            return None
        return host

    @classmethod
    def _opens(cls, host: Any, given: str | None) -> TypeGuard[str]:
        """True when the default ``connect`` is to open this host.

        A class that names neither a client nor a host of its own gets whatever ``--host`` says,
        and opens it only where an adapter owns the scheme.
        """
        if not host or issubclass(cls, HTTP_USERS):
            return False
        if cls.client_class is not None or cls._declared_host is not None or host != given:
            return True
        return not isinstance(host, str) or is_registered(host.partition("://")[0])

    @classmethod
    def _descriptors(cls) -> int:
        """How many file descriptors a user holds open at least, as far as its class tells."""
        if cls.client_class is None or cls.connect is not ProtocolUser.connect:
            return 0
        return cls.client_class.descriptors

    @classmethod
    def _client_class(cls, given: str | None) -> type[ProtocolClient] | None:
        """The class of the client that the options on this class are for, as far as it tells."""
        host = cls._host_to_open(given)
        return cls.client_class if host is None else cls._class_for(host)

    @classmethod
    def _class_for(cls, url: str) -> type[ProtocolClient]:
        if cls.client_class is not None and cls.client_class.accepts(url):
            return cls.client_class
        return client_class_for(url)
