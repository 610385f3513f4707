"""What a client or a user says about messages: how ids are found, and what nobody waits for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import gevent

from protouser._correlation import Correlate
from protouser._errors import UnexpectedMessage
from protouser._inbox import Inbox

if TYPE_CHECKING:
    from protouser._client import ProtocolClient

__all__ = ["MessageOptions"]


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """The options ``correlate``, ``unmatched`` and ``buffer`` of a client."""

    NAMES: ClassVar[frozenset[str]] = frozenset({"correlate", "unmatched", "buffer"})

    correlate: Correlate | None
    unmatched: str
    buffer: int | None

    @classmethod
    def of(cls, client: ProtocolClient, options: Mapping[str, Any]) -> MessageOptions:
        """Read them, as they stand in a call or on the class of a user.

        Raises:
            ConfigurationError: one cannot be used.
        """
        correlate = _plain(options.get("correlate"), client.user)
        unmatched, buffer = options.get("unmatched", "keep"), options.get("buffer")
        found = cls(Correlate.of(correlate), unmatched, buffer)
        found.apply(client, Inbox())
        return found

    @staticmethod
    def check(options: Mapping[str, Any]) -> None:
        """Read them as they stand on a class, where there is no client yet.

        Raises:
            ConfigurationError: one cannot be used.
        """
        Correlate.of(options.get("correlate"))
        inbox: Inbox[Any] = Inbox()
        inbox.configure(inbox.tally, options.get("unmatched", "keep"), None, options.get("buffer"))

    def apply(self, client: ProtocolClient, inbox: Inbox[Any]) -> None:
        """Have an inbox of the client do as they say."""
        inbox.configure(
            partial(_tally, client), self.unmatched, partial(_report, client), self.buffer
        )


def _plain(given: Any, user: object) -> Any:
    """A function on the class of a user that takes the message alone, as a lambda does."""
    if inspect.ismethod(given) and given.__self__ is user:
        alone = len(inspect.signature(given.__func__).parameters) == 1
        return given.__func__ if alone else given
    return given


def _tally(client: ProtocolClient, counter: str, row: str | None, value: int = 1) -> None:
    client.session.add(client.protocol, row or "receive", counter, value)


def _report(client: ProtocolClient, message: Any) -> None:
    """Not in the hub: hooks and listeners may block."""
    gevent.spawn(_fail, client, message)


def _fail(client: ProtocolClient, message: Any) -> None:
    with suppress(UnexpectedMessage), client.measure("unmatched", one_way=True) as call:
        call.response = message
        raise UnexpectedMessage("a message came that no call was waiting for")
