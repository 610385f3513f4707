"""One connection whose messages a reader puts into an inbox, and what calls do on it.

A reply that comes after its request was given up would be taken for the reply of the next. So a
connection whose request timed out, was killed or failed is closed, and the next call connects
anew, as a row "connect" of its own; unless replies say by an id which request they answer. An
orderly end that nobody was waiting through is no failure of anybody: the next call connects anew
as well. Any other end is told to one call at least.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

from protouser._call import Call, now
from protouser._correlation import CorrelatedRequest
from protouser._errors import ConfigurationError, ConnectionLost, ProtouserError
from protouser._inbox import Inbox
from protouser._message_source import LATE, LATE_WAKE, MessageSource
from protouser._request import Request

__all__ = ["MessageConnection"]

Message = TypeVar("Message")


class MessageConnection(ABC, MessageSource[Message]):
    """What a ``MessageClient`` keeps of its connection.

    An adapter's engine delivers into ``inbox``, and ends it with the connection.

    Attributes:
        peer: how messages name the server.
        inbox: what has come and nobody has read.
        over: the next ``request`` or ``send`` needs a new connection: the end was orderly, or told.
        told: a call has failed because of the end, or it was closed on this side.
        lost: it was told by a call that failed, before anybody closed it on this side.
        served: a call has got a message.
        pieces: when the first byte of a message came, and when its last; of the latest message that
            took more than one read, for engines that say so.
    """

    pieces: tuple[float, float] | None = None

    def __init__(self, peer: str, inbox: Inbox[Message]) -> None:
        self.peer = peer
        self.inbox = inbox
        self.over = False
        self.told = False

    @property
    @abstractmethod
    def closed(self) -> bool:
        """True when nothing can be sent any more."""

    @abstractmethod
    def encode(self, call: Call) -> Any:
        """``call.request.payload`` for the wire; its size becomes ``call.request_length``."""

    @abstractmethod
    def transmit(self, frame: Any, timeout: float | None) -> None:
        """Send what ``encode`` returned."""

    @abstractmethod
    def abort(self, error: ProtouserError) -> None:
        """Close at once; whoever waits is woken with ``error``."""

    def as_message(self, request: Any) -> Any:
        """A request as it would come as a message, for the function that finds ids in both."""
        return request

    def exchange(self, call: Call) -> Message:
        """Send ``call.request``, and return the next message that arrives and matches."""
        request: Request = call.request
        timeout = request.timeout
        frame = self.encode(call)
        began = now()
        try:
            self.transmit(frame, timeout)
            message, at, waited = self.inbox.get(
                timeout, began, "reply", match=request.match, after=began
            )
        except BaseException as error:
            self.note_end(error)
            self.abandon()
            raise
        self.served = True
        call.stop(at)
        if self.pieces is not None:
            self.note_first_byte(call, at)
        if waited:
            late = now() - at
            if late >= LATE:
                call.spend(LATE_WAKE, late)
        call.response_length = self.length_of(message)
        return message

    def exchange_by_id(self, call: Call) -> Message:
        """Send, and return the message with the id of the request; others may be under way."""
        request: CorrelatedRequest = call.request
        timeout, match, correlate = request.timeout, request.match, request.correlate
        assert correlate is not None
        number = correlate.id_of(self.as_message(request.payload))
        if number is None:
            if match is not None:
                return self.exchange(call)
            raise ConfigurationError(
                "correlate= finds no id in this request; give it match=, or correlate=False"
            )
        frame = self.encode(call)
        began = now()
        expected = self.inbox.ask(correlate.of_message, number, row=call.name, match=match)
        try:
            self.transmit(frame, timeout)
            message, at, waited = expected.wait(timeout, began, "reply")
        except BaseException as error:
            expected.cancel()
            self.note_end(error)
            if self.closed:
                self.tell()
            raise
        call.stop(at)
        if self.pieces is not None:
            self.note_first_byte(call, at)
        self.note_arrival(call, message, at, waited)
        return message

    def send(self, call: Call) -> None:
        """Send ``call.request``, which has no reply."""
        frame = self.encode(call)
        try:
            self.transmit(frame, call.request.timeout)
        except ProtouserError as error:
            if self.closed:
                self.note_end(error)
                self.tell()
            raise

    def note_first_byte(self, call: Call, at: float) -> None:
        """The message that arrived at ``at``: its first byte came earlier, if it is the latest."""
        assert self.pieces is not None
        first, last = self.pieces
        if last == at:
            call.mark("first byte", first)
            self.pieces = None

    def tell(self) -> None:
        """A call learns of the end right now."""
        self.over = self.told = True

    def abandon(self) -> None:
        """Close it, since a reply that comes too late would be taken for that of the next."""
        self.tell()
        self.abort(
            ConnectionLost(f"the connection to {self.peer} was closed: a call on it got no reply")
        )
