"""Functions marked with ``@on_message``: each gets its messages in order, in its own greenlet.

So a function may block, a slow one holds up no other, and messages are handled between tasks as
well as during them. The greenlet is there from the first message on, since most idle users never
see one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final

import gevent

from protouser._call import now
from protouser._errors import CallSkipped, ConfigurationError
from protouser._hooks import MESSAGE
from protouser._inbox import Inbox

if TYPE_CHECKING:
    from protouser._client import ProtocolClient
    from protouser._user import ProtocolUser

__all__ = ["MessageHandlers"]

#: Messages that may wait for one function; more are dropped, and counted.
_MOST_WAITING: Final = 10_000

Selects = Callable[[Any, Any], object]


class MessageHandlers:
    """The ``@on_message`` functions of a client's user.

    Args:
        client: whose messages they are.
        selects: called with a text pattern and a message; None where the protocol knows no text
            that selects messages.
        length_of: how many bytes a message has; ``len`` where it has one.
    """

    def __init__(
        self,
        client: ProtocolClient,
        selects: Selects | None = None,
        length_of: Callable[[Any], int | None] | None = None,
    ) -> None:
        self._handlers: list[_Handler] = []
        self._client = client
        self._source: Hashable = None
        self._muted = False
        user = client.user
        if user is None:
            return
        hooks = client.session.hooks_of(type(user))
        for pattern, function in hooks.listeners(MESSAGE, user, client.protocol):
            matches = _predicate(client, pattern, selects)
            self._handlers.append(_Handler(client, user, pattern, matches, function, length_of))

    def __bool__(self) -> bool:
        return bool(self._asked())

    @property
    def overhear(self) -> bool:
        """True when one of them sees every message: what nobody else reads need not be kept."""
        return any(one.pattern is None for one in self._handlers)

    @property
    def filters(self) -> list[str]:
        """The patterns that are texts, as a protocol with subscriptions needs them."""
        return [one.pattern for one in self._handlers if isinstance(one.pattern, str)]

    def listen_to(self, inbox: Inbox[Any]) -> None:
        """See the messages of an inbox before anybody gets them."""
        inbox.listener = self.offer
        if self.overhear:
            inbox.on_passed = _seen

    def claim(self, source: Hashable) -> bool:
        """True when ``filters`` are this client's to subscribe to; for protocols that subscribe.

        There each subscriber gets every message, so two clients of one ``source``, such as a
        broker, would handle each twice: the first one of a user has them until ``release``, and
        the functions of further ones that have a text for a pattern are not asked.
        """
        user, client = self._client.user, self._client
        self._source = source
        self._muted = user is not None and user._listeners.setdefault(source, client) is not client
        return not self._muted

    def release(self) -> None:
        """Another client may ``claim`` the source; for a client that is closed."""
        user = self._client.user
        if user is not None and user._listeners.get(self._source) is self._client:
            del user._listeners[self._source]

    def offer(self, message: Any, at: float) -> bool:
        """Show a message that arrived at ``at``; True when it is for one of them. In the hub."""
        taken = False
        for handler in self._asked():
            taken = handler.takes(message, at) or taken
        return taken

    def _asked(self) -> list[_Handler]:
        if self._muted:
            return [one for one in self._handlers if not isinstance(one.pattern, str)]
        return self._handlers


class _Handler:
    """One function, what it selects, and the messages that wait for it."""

    def __init__(
        self,
        client: ProtocolClient,
        user: ProtocolUser,
        pattern: Any,
        matches: Callable[[Any], object] | None,
        function: Callable[[Any], Any],
        length_of: Callable[[Any], int | None] | None,
    ) -> None:
        self.pattern = pattern
        self._client = client
        self._user = user
        self._matches = matches
        self._function = function
        self._length_of = length_of
        self._inbox: Inbox[Any] = Inbox()
        self._worker: gevent.Greenlet[..., Any] | None = None
        self._ended = False

    def takes(self, message: Any, at: float) -> bool:
        """Note a message that is for this function; True unless others are to have it as well."""
        if self._matches is not None and not self._wants(message):
            return False
        if len(self._inbox) >= _MOST_WAITING:
            self._client.measure(self._row).count("dropped")
            return self._matches is not None
        self._inbox.deliver(message, at)
        if self._ended:
            self._count_unread()
        elif self._worker is None:
            self._start()
        return self._matches is not None

    @property
    def _row(self) -> str:
        return f"message {self.pattern}" if isinstance(self.pattern, str) else "message"

    def _wants(self, message: Any) -> bool:
        assert self._matches is not None
        try:
            return bool(self._matches(message))
        except Exception as error:  # noqa: BLE001  in the hub it would end the connection
            text = f"the pattern {self.pattern!r} of @on_message (the message is not for it)"
            self._client.session.complain_once(self.pattern, text, error)
            return False

    def _start(self) -> None:
        self._worker = self._user.spawn(self._work)
        self._worker.link(self._on_end)

    def _on_end(self, worker: gevent.Greenlet[..., Any]) -> None:
        """The user has ended, if that has killed the greenlet: nothing more is handled."""
        if isinstance(worker.value, gevent.GreenletExit):
            self._ended = True
            self._count_unread()

    def _count_unread(self) -> None:
        unread = self._inbox.discard()
        if unread and self._matches is not None:  # what it only sees, others have
            self._client.measure(self._row).count("unread", unread)

    def _work(self) -> None:
        try:
            while True:
                message, at, _ = self._inbox.get()
                if self._matches is None or self._count(message, at):
                    self._function(message)
        except (Exception, gevent.Timeout):
            # this greenlet ends, and its user reports why; the next message has a new one
            self._worker = None
            if len(self._inbox):
                self._start()
            raise

    def _count(self, message: Any, at: float) -> bool:
        """Count a message; False when a hook vetoed it."""
        call = self._client.measure(self._row, one_way=True)
        if self._length_of is not None:
            call.response_length = self._length_of(message)
        try:
            with call:
                call.response = message
                call.spend("queue", now() - at)
        except CallSkipped:
            return False
        return True


def _seen(_message: Any, _at: float) -> None:
    """Nobody reads this message, and it was seen: that is all there is to do."""


def _predicate(
    client: ProtocolClient, pattern: Any, selects: Selects | None
) -> Callable[[Any], object] | None:
    if not isinstance(pattern, str):
        matches: Callable[[Any], object] | None = pattern
        return matches
    if selects is None:
        raise ConfigurationError(
            f"@on_message({pattern!r}): {client.protocol} has no topics to select by; pass a"
            " matcher, as contains(...), or protocol='mqtt' where that is meant"
        )
    return lambda message: selects(pattern, message)
