"""Staying connected: who opens the connection anew, and when.

One greenlet at a time does it, and who calls meanwhile waits for it within the time of the call.
Attempts that fail are followed by longer and longer pauses, whoever makes them, so that users whose
broker is gone neither spin nor come back all at once.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple, Self

import gevent
from gevent.lock import BoundedSemaphore
from greenlet import getcurrent, greenlet

from protouser import (
    CallTimeout,
    ConfigurationError,
    ConnectionLost,
    Inbox,
    MessageHandlers,
    ProtocolClient,
    ProtouserError,
    Url,
)
from protouser.net import Deadline, Proxy, TlsOptions
from protouser_mqtt._backoff import Backoff
from protouser_mqtt._connection import Connection
from protouser_mqtt._message import Message
from protouser_mqtt._settings import Settings, seconds
from protouser_mqtt._stamp import Delivery
from protouser_mqtt._topics import check_filter, matches

__all__ = ["ReconnectingClient", "Subscription"]

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_BACKOFF: Final = 1.0
#: Messages that may wait for ``receive``; more are dropped, and counted.
_MOST_UNREAD: Final = 10_000
_OF_A_PERSON: Final = ("username", "password")


class Subscription(NamedTuple):
    """How each connection subscribes to a filter.

    Attributes:
        qos: what is asked for.
        name: what the user called the row, if he did.
        properties: those of SUBSCRIBE, for MQTT 5.
    """

    qos: int
    name: str | None = None
    properties: Mapping[str, Any] | None = None


class ReconnectingClient(ProtocolClient):
    """The connection of an MQTT client, its subscriptions and what came of them.

    Attributes:
        subscriptions: by filter, what each connection subscribes to.
        inbox: messages that no ``@on_message`` method takes.
    """

    protocol = "mqtt"
    schemes = ("mqtt", "mqtts")
    option_names = (TlsOptions.NAMES | Proxy.NAMES) | frozenset(
        {
            "version",
            "client_id",
            "keepalive",
            "clean_session",
            "clean_start",
            "username",
            "password",
            "will",
            "properties",
            "max_in_flight",
            "message_qos",
            "connect_timeout",
            "connect_backoff",
        }
    )

    def __init__(self, url: str | Url, **options: Any) -> None:
        super().__init__(url, **options)
        owner = "protouser" if self.user is None else type(self.user).__name__
        self.settings = Settings.of(self.url, self.options, owner)
        self._backoff = Backoff(_first_pause(self.options))
        self._connect_timeout = _connect_timeout(self.options, self.timeout)
        self.inbox: Inbox[Message] = Inbox(_MOST_UNREAD)
        self._tls = TlsOptions.of(self.options) if self.url.scheme == "mqtts" else None
        self._connection: Connection | None = None
        self._opening = BoundedSemaphore()
        self._wanted = self._claimed = False
        self._opener: greenlet | None = None
        self._returning: gevent.Greenlet[..., Any] | None = None
        self._handlers = MessageHandlers(self, _selects, _length_of)
        if self._handlers:
            self._handlers.listen_to(self.inbox)
        self._handled = Subscription(self.settings.message_qos)
        for pattern in self._handlers.filters:
            check_filter(pattern)
        self.subscriptions: dict[str, Subscription] = {}

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        # Who a user is may still come from prepare(), one half of it after the other.
        known = {name: value for name, value in options.items() if name not in _OF_A_PERSON}
        Settings.of(Url("mqtt", "localhost"), known, cls.__name__)
        _first_pause(options)
        _connect_timeout(options, None)

    @classmethod
    def parse_url(cls, url: str | Url) -> Url:
        parsed = super().parse_url(url)
        if not parsed.host:
            raise ConfigurationError(f"{parsed} names no host; write mqtt://host:port")
        if parsed.path not in ("", "/"):
            raise ConfigurationError(
                f"{parsed} has a path; a broker has none, topics are named in the calls"
            )
        return replace(parsed, port=parsed.port or _PORTS[parsed.scheme], path="")

    def open(self) -> Self:
        """Connect, as a row "connect", and subscribe to what is subscribed to, each as a row."""
        failed = self._backoff.failed
        try:
            super().open()
            for pattern, subscription in list(self.subscriptions.items()):
                self.subscribe_on_connection(pattern, subscription)
        except BaseException as error:
            # a deadline of the caller's must not leave a connection that lacks subscriptions
            if isinstance(error, ProtouserError) and self._backoff.failed == failed:
                self._backoff.fail()
            self.close()
            raise
        return self

    def connect(self) -> None:
        assert self.connecting is not None
        self._wanted = True
        self._subscribe_for_handlers()
        connection = Connection(self.url, self.settings, self._deliver, self._lost)
        mark = self.connecting.mark
        at = connection.open(self._tls, self.proxy, self._connect_timeout, mark)
        self.connecting.stop(at)
        self.resources.callback(connection.close)
        if not self._wanted:
            raise ConnectionLost(f"the connection to {self.url} was closed here")
        self.inbox.reopen()
        self._connection = connection
        if connection.ended_by is not None:  # in the moment between
            self._lost(connection, connection.ended_by)

    def close(self) -> None:
        if getcurrent() is not self._opener:
            self._wanted = False
            self._backoff.forget()
        super().close()

    def shut(self) -> None:
        # an attempt to come back closes what is left as well
        self._wanted = self._wanted and self._opener is not None
        self._connection = None
        super().shut()
        self.inbox.end(ConnectionLost(f"the connection to {self.url} was closed here"))
        if not self._wanted:
            self._handlers.release()
            self._count_unread()

    def subscribe_on_connection(self, pattern: str, subscription: Subscription) -> None:
        """Subscribe as a call of its own, on the connection that there is."""
        raise NotImplementedError

    @property
    def offline(self) -> bool:
        """True when there is no connection that a call could use."""
        return self._connection is None or self._connection.over

    def connection(self, timeout: float | None) -> Connection:
        """The connection for a call that ``come_back`` has gone before.

        Raises:
            CallTimeout: there was none in time.
            ConnectionLost: it has ended since.
        """
        if self._connection is None:
            raise CallTimeout(
                f"{self.url} was not connected within {timeout:g} s"
                if timeout is not None
                else f"{self.url} is not connected"
            )
        if self._connection.over:
            raise ConnectionLost(f"the connection to {self.url} ended before the call was made")
        return self._connection

    def come_back(self, timeout: float | None) -> None:
        """Connect, or wait within ``timeout`` seconds for the greenlet that does.

        Raises:
            ConnectFailed: or what else made the attempt of this call fail; it was reported.
        """
        deadline = Deadline(timeout)
        if not self._opening.acquire(timeout=deadline.left()):
            return
        try:
            if self.offline and self._pause(deadline):
                if self._connection is not None:
                    self.measure("connect").count("reconnects")
                self._opener = getcurrent()
                self.reopen()
        finally:
            self._opener = None
            self._opening.release()

    def _count_unread(self) -> None:
        unread = self.inbox.discard()
        if unread:
            self.measure("receive").count("unread", unread)

    def _subscribe_for_handlers(self) -> None:
        """Each connection is to subscribe to what ``@on_message`` says, of one client per broker.

        A call may have subscribed to the same, or ended it; what it said holds.
        """
        mine = self._handlers.claim((self.url.host, self.url.port))
        for pattern in self._handlers.filters:
            if mine and not self._claimed:
                self.subscriptions.setdefault(pattern, self._handled)
            elif not mine and self.subscriptions.get(pattern) is self._handled:
                del self.subscriptions[pattern]
        self._claimed = mine

    def _pause(self, deadline: Deadline) -> bool:
        """Wait until the next attempt may be made; False when that is beyond the deadline."""
        if self._connection is not None:
            self._backoff.judge(self._connection)
        pause, left = self._backoff.pause, deadline.left()
        if pause <= 0:
            return True
        if left is not None and left < pause:
            gevent.sleep(left)
            return False
        gevent.sleep(pause)
        return self.offline

    def _lost(self, connection: Connection, error: BaseException) -> None:
        """An open connection has ended; who only listens has to come back by himself."""
        if connection is not self._connection:
            return
        self.inbox.end(error)
        self.measure("connect").count("connections lost")
        self.disconnected(error)
        if self._handlers and self.user is not None and self._returning is None:
            self._returning = self.user.spawn(self._return)

    def _return(self) -> None:
        gevent.sleep(random.uniform(0, min(self._backoff.first, 1)))
        try:
            while self._wanted and self.offline:
                pause = self._backoff.pause
                if pause > 0:
                    gevent.sleep(pause)
                else:
                    self._try_to_return()
        finally:
            self._returning = None

    def _try_to_return(self) -> None:
        with suppress(ProtouserError):  # it was counted, and has set the time of the next attempt
            self.come_back(None)

    def _deliver(self, message: Message) -> None:
        if message.properties:
            delivery = Delivery.of(message)
            if delivery is not None:
                gevent.spawn(delivery.report, self)  # hooks and listeners may block
        self.inbox.deliver(message, message.at)


def _first_pause(options: Mapping[str, Any]) -> float:
    return seconds("connect_backoff", options.get("connect_backoff", _BACKOFF))


def _connect_timeout(options: Mapping[str, Any], otherwise: float | None) -> float | None:
    given: float | None = options.get("connect_timeout", otherwise)
    return None if given is None else seconds("connect_timeout", given)


def _selects(pattern: str, message: Message) -> bool:
    return matches(pattern, message.topic)


def _length_of(message: Message) -> int:
    return len(message.payload)
