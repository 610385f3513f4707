"""Clients whose protocol is messages: ``request``, ``send`` and ``receive``, the same on each.

A client keeps the connection of the moment. Where that is over, the next call connects anew first,
as a row "connect" of its own; so connecting is never part of a call's time. Attempts in a row that
fail, or whose connection is lost before a call got anything, come at growing intervals.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final, Generic, Self, TypeVar, Unpack

import gevent
from gevent.lock import BoundedSemaphore

from protouser._call import now
from protouser._client import CallOptions, ProtocolClient
from protouser._correlation import Correlate, CorrelatedRequest
from protouser._errors import ConfigurationError
from protouser._message_connection import MessageConnection
from protouser._message_handlers import MessageHandlers
from protouser._message_options import MessageOptions
from protouser._messaging import Messaging, seconds
from protouser._reader import Match
from protouser._request import Request
from protouser._url import Url

__all__ = ["MessageClient"]

#: Seconds before the second attempt to come back in a row; doubled for each further one.
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_MOST_DOUBLINGS: Final = 8

Connection = TypeVar("Connection", bound=MessageConnection[Any])


class MessageClient(Messaging, ProtocolClient, Generic[Connection]):
    """Base of the adapters that exchange messages over a connection.

    ``connect`` sets ``connection``, and leaves closing it to ``resources``. After ``close`` the
    next call connects anew. Several greenlets may have requests under way.

    Options of each: ``connect_timeout`` in seconds; ``correlate``, how the id of a request and that
    of its reply are found; ``unmatched`` ("keep", "drop" or "fail"), what is done with a message
    that nobody waits for; ``buffer``, how many are kept.

    Attributes:
        connection: the connection of the moment; None before the first.
        correlate: how requests and replies are told apart; None where their order does.
        handlers: the ``@on_message`` functions of its user.
    """

    common_options = frozenset({"connect_timeout"}) | MessageOptions.NAMES
    connection: Connection | None = None
    correlate: Correlate | None = None

    def __init__(self, url: str | Url, **options: Any) -> None:
        super().__init__(url, **options)
        self.handlers = MessageHandlers(self)
        self._reconnecting = BoundedSemaphore()
        self._attempts = 0
        self._failed = 0
        self._vain = False
        self._opened_at = 0.0
        self._failure: Exception | None = None
        self._messages = MessageOptions.of(self, self.options)
        self.correlate = self._messages.correlate
        _check_connect_timeout(self.options)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        MessageOptions.check(options)
        _check_connect_timeout(options)

    @property
    def connect_timeout(self) -> float | None:
        """Seconds that connecting may take: the option of that name, or else ``timeout``."""
        seconds: float | None = self.options.get("connect_timeout", self.timeout)
        return seconds

    def request(
        self,
        payload: Any,
        *,
        match: Match | None = None,
        timeout: float | None = None,
        correlate: Any = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Send a message and return the one that answers it: one sample, from send to arrival.

        That is the next message to arrive for which ``match`` is true, or the next of all; others
        are kept for ``receive``. ``match`` must not block. With ``catch_response`` the finished
        call is returned.

        With ``correlate``, or that of the client, it is the message with the id of the request, so
        that any number may be in flight. It is a function that finds the id in a request and in a
        message, as ``by_field("id")`` is, or a pair of functions; False for none. A second reply,
        and one that comes too late, is counted and given to nobody.

        Raises:
            CallTimeout: no reply within ``timeout`` seconds (the client's where None).
            ConnectFailed: the server cannot be reached.
            ConnectionLost: the connection ended first.
            MalformedMessage: the server broke the protocol.
        """
        connection = self.connection
        if connection is None or connection.over:
            connection = self.renewed()
        limit = self.timeout if timeout is None else seconds(timeout)
        by_id = self.correlate if correlate is None else Correlate.of(correlate)
        if by_id is None:
            work, asked = connection.exchange, Request(payload, limit, match)
        else:
            work = connection.exchange_by_id
            asked = CorrelatedRequest(payload, limit, match, by_id)
        if not options:  # as mostly; a dict that has to be taken apart costs each call
            return self.perform("request", work, request=asked)
        return self.perform("request", work, request=asked, **options)

    def send(
        self,
        payload: Any,
        *,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Send a message that has no reply; counted, without a response time.

        Raises:
            CallTimeout: it could not be sent within ``timeout`` seconds.
            ConnectFailed: the server cannot be reached.
            ConnectionLost: the connection ended first.
        """
        connection = self.connection
        if connection is None or connection.over:
            connection = self.renewed()
        limit = self.timeout if timeout is None else seconds(timeout)
        return self.perform(
            "send",
            connection.send,
            request=Request(payload, limit),
            **options,
            one_way=True,
        )

    def readable(self) -> Connection:
        connection = self.connection
        if connection is None or connection.told:
            connection = self.renewed()
        return connection

    def _connect(self) -> None:
        super()._connect()
        if self.connection is not None:
            self._messages.apply(self, self.connection.inbox)

    def open(self) -> Self:
        super().open()
        self._opened_at = now()
        connection = self.connection
        if connection is not None and self.user is not None:
            if self.handlers:
                self.handlers.listen_to(connection.inbox)
            connection.inbox.on_end = self.disconnected
        return self

    def shut(self) -> None:
        connection = self.connection
        if connection is not None:
            connection.inbox.on_end = None
        super().shut()
        if connection is not None:
            unread = connection.inbox.discard()
            if unread:
                self.measure("receive").count("unread", unread)

    def renewed(self) -> Connection:
        """Connect anew, unless another greenlet does just that, and return the connection."""
        before, attempts = self.connection, self._attempts
        with self._reconnecting:
            if self.connection is before:
                if self._failure is not None and self._attempts > attempts:
                    raise self._failure  # of the greenlet that was first, and that all waited for
                self._renew()
        assert self.connection is not None
        return self.connection

    def _renew(self) -> None:
        self._look_back()
        if self._failed:  # a server that is down is not to be asked as fast as this machine can
            pause = min(_FIRST_PAUSE * 2 ** (self._failed - 1), _LONGEST_PAUSE)
            gevent.sleep(pause * random.uniform(0.5, 1))
        self._failure = None
        try:
            self.reopen()
        except Exception as error:
            self._failed = min(self._failed + 1, _MOST_DOUBLINGS)
            self._failure = error
            raise
        finally:
            self._attempts += 1

    def _look_back(self) -> None:
        """Connections in a row that were lost before a call got anything are failed attempts."""
        before = self.connection
        if before is None or self._failure is not None:
            return
        short = now() - self._opened_at < _LONGEST_PAUSE
        was_vain, self._vain = self._vain, short and before.lost and not before.served
        if not self._vain:
            self._failed = 0
        elif was_vain:  # the first one may have met a restart
            self._failed = min(self._failed + 1, _MOST_DOUBLINGS)


def _check_connect_timeout(options: Mapping[str, Any]) -> None:
    given = options.get("connect_timeout")
    if given is not None and not (isinstance(given, int | float) and given > 0):
        raise ConfigurationError(f"connect_timeout={given!r} is no number of seconds above 0")
