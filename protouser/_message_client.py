"""Clients whose protocol is messages: ``request``, ``send`` and ``receive``, the same on each.

A client keeps the connection of the moment. Where that is over, the next call connects anew first,
as a row "connect" of its own; so connecting is never part of a call's time.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, Unpack

from gevent.lock import BoundedSemaphore

from protouser._checks import Check
from protouser._client import CallOptions, ProtocolClient
from protouser._errors import ConfigurationError
from protouser._expectation import Expectation
from protouser._message_connection import Match, MessageConnection
from protouser._url import Url

__all__ = ["MessageClient"]

Connection = TypeVar("Connection", bound=MessageConnection[Any])


class MessageClient(ProtocolClient, Generic[Connection]):
    """Base of the adapters that exchange messages over a connection.

    ``connect`` sets ``connection``, and leaves closing it to ``resources``. After ``close`` the
    next call connects anew. Several greenlets may have requests under way.

    Attributes:
        connection: the connection of the moment; None before the first.
    """

    connection: Connection | None = None

    def __init__(self, url: str | Url, **options: Any) -> None:
        super().__init__(url, **options)
        self._reconnecting = BoundedSemaphore()
        given = self.options.get("connect_timeout")
        if given is not None and not (isinstance(given, int | float) and given > 0):
            raise ConfigurationError(f"connect_timeout={given!r} is no number of seconds above 0")

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
        **options: Unpack[CallOptions],
    ) -> Any:
        """Send a message and return the one that answers it: one sample, from send to arrival.

        That is the next message to arrive for which ``match`` is true, or the next of all; others
        are kept for ``receive``. ``match`` must not block. With ``catch_response`` the finished
        call is returned.

        Raises:
            CallTimeout: no reply within ``timeout`` seconds (the client's where None).
            ConnectFailed: the server cannot be reached.
            ConnectionLost: the connection ended first.
            MalformedMessage: the server broke the protocol.
        """
        connection = self.connection
        if connection is None or connection.over:
            connection = self.renewed()
        limit = self.timeout if timeout is None else timeout
        return self.perform(
            "request",
            lambda call: connection.exchange(call, limit, match),
            request=payload,
            **options,
        )

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
        limit = self.timeout if timeout is None else timeout
        return self.perform(
            "send",
            lambda call: connection.send(call, limit),
            request=payload,
            **options,
            one_way=True,
        )

    def receive(
        self,
        *,
        match: Match | None = None,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """The next message that the server sends on its own; counted, without a response time.

        The next for which ``match`` is true, where given; others are kept, in their order. How
        long it was waited for is the series "wait".

        Raises:
            CallTimeout: none came within ``timeout`` seconds.
            ConnectFailed: the server cannot be reached.
            ConnectionLost: the connection ended first.
        """
        connection = self.connection
        if connection is None or connection.told:
            connection = self.renewed()
        limit = self.timeout if timeout is None else timeout
        return self.perform(
            "receive",
            lambda call: connection.receive(call, limit, match),
            **options,
            one_way=True,
        )

    def expect(
        self,
        match: Match | None = None,
        *,
        timeout: float | None = None,
        name: str = "expect",
        check: Check | None = None,
        context: dict[str, Any] | None = None,
    ) -> Expectation:
        """Ask for a message that something else will trigger: one sample, from now to its arrival.

        As a context manager it waits at the end of the block, and has the ``message`` then. Without
        one, it is waited for with ``wait()``. ``timeout`` counts from now.
        """
        connection = self.connection
        if connection is None or connection.told:
            connection = self.renewed()
        call = self.measure(name, check=check, context=context)
        return Expectation(call, connection, match, self.timeout if timeout is None else timeout)

    def renewed(self) -> Connection:
        """Connect anew, unless another greenlet does just that, and return the connection."""
        before = self.connection
        with self._reconnecting:
            if self.connection is before:
                self.reopen()
        assert self.connection is not None
        return self.connection
