"""Methods marked with ``@on_message``: each gets its messages in order, in a greenlet of its own.

So a method may block, a slow one holds up no other, and messages are handled between tasks as well
as during them. The greenlet is there from the first message on, since most idle users never see
one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import gevent

from protouser import CallSkipped, Inbox, ProtocolClient, ProtocolUser, now
from protouser_mqtt._message import Message
from protouser_mqtt._topics import matches

__all__ = ["MessageHandler"]

#: Messages that may wait for one method; more are dropped, and counted.
_MOST_WAITING: Final = 10_000


class MessageHandler:
    """One method, the filter that it is for, and the messages that wait for it.

    Attributes:
        pattern: the topic filter.
    """

    def __init__(
        self,
        client: ProtocolClient,
        user: ProtocolUser,
        pattern: str,
        method: Callable[[Message], Any],
    ) -> None:
        self.pattern = pattern
        self._client = client
        self._user = user
        self._method = method
        self._inbox: Inbox[Message] = Inbox()
        self._worker: gevent.Greenlet[..., Any] | None = None

    def takes(self, message: Message) -> bool:
        """True when a message is for this method, which then gets it. Called in the hub."""
        if not matches(self.pattern, message.topic):
            return False
        if len(self._inbox) >= _MOST_WAITING:
            self._client.measure(self._row).count("dropped")
            return True
        if self._worker is None:
            self._worker = self._user.spawn(self._work)
        self._inbox.deliver(message, message.at)
        return True

    @property
    def _row(self) -> str:
        return f"message {self.pattern}"

    def _work(self) -> None:
        try:
            while True:
                message, at, _ = self._inbox.get()
                if self._count(message, at):
                    self._method(message)
        except (Exception, gevent.Timeout):
            # this greenlet ends, and its user reports why; the next message has a new one
            self._worker = self._user.spawn(self._work) if len(self._inbox) else None
            raise

    def _count(self, message: Message, at: float) -> bool:
        """Count a message; False when a hook vetoed it."""
        call = self._client.measure(self._row, one_way=True)
        call.response_length = len(message.payload)
        try:
            with call:
                call.response = message
                call.spend("queue", now() - at)
        except CallSkipped:
            return False
        return True
