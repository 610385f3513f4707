"""One connection whose messages a reader puts into an inbox, and what calls do on it.

A reply that comes after its request was given up would be taken for the reply of the next. So a
connection whose request timed out, was killed or failed is closed, and the next call connects
anew, as a row "connect" of its own. An orderly end that nobody was waiting through is no failure
of anybody: the next call connects anew as well. Any other end is told to one call at least.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from protouser._call import Call, now
from protouser._errors import CallTimeout, ConnectionLost, ProtouserError
from protouser._inbox import Inbox
from protouser._request import Request

__all__ = ["Match", "MessageConnection"]

Message = TypeVar("Message")
Match = Callable[[Any], object]


class MessageConnection(ABC, Generic[Message]):
    """What a ``MessageClient`` keeps of its connection.

    An adapter's engine delivers into ``inbox``, and ends it with the connection.

    Attributes:
        peer: how messages name the server.
        inbox: what has come and nobody has read.
        over: the next ``request`` or ``send`` needs a new connection: the end was orderly, or told.
        told: a call has failed because of the end, or it was closed on this side.
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

    def exchange(self, call: Call) -> Message:
        """Send ``call.request``, and return the next message that arrives and matches."""
        request: Request = call.request
        timeout = request.timeout
        frame = self.encode(call)
        began = now()
        try:
            self.transmit(frame, timeout)
            message, at, _ = self.inbox.get(
                timeout, began, "reply", match=request.match, after=began
            )
        except BaseException:
            self.abandon()
            raise
        call.stop(at)
        if self.pieces is not None:
            self.note_first_byte(call, at)
        call.response_length = self.length_of(message)
        return message

    def send(self, call: Call) -> None:
        """Send ``call.request``, which has no reply."""
        frame = self.encode(call)
        try:
            self.transmit(frame, call.request.timeout)
        except ProtouserError:
            if self.closed:
                self.tell()
            raise

    def receive(self, call: Call) -> Message:
        """The next message that is there, or comes, and matches as ``call.request`` says."""
        request: Request = call.request
        try:
            message, at, waited = self.inbox.get(request.timeout, match=request.match)
        except ProtouserError as error:
            self.note_end(error)
            raise
        if waited:
            call.mark("wait", at)
            call.stop(at)
        call.response_length = self.length_of(message)
        return message

    def length_of(self, message: Message) -> int | None:
        """How many bytes a message had on the wire; None where its own length says it."""
        return None

    def note_first_byte(self, call: Call, at: float) -> None:
        """The message that arrived at ``at``: its first byte came earlier, if it is the latest."""
        assert self.pieces is not None
        first, last = self.pieces
        if last == at:
            call.mark("first byte", first)
            self.pieces = None

    def note_end(self, error: BaseException) -> None:
        """A call that waits failed by this: where it is the end of the connection, it was told."""
        if isinstance(error, ProtouserError) and not isinstance(error, CallTimeout):
            self.tell()

    def tell(self) -> None:
        """A call learns of the end right now."""
        self.over = self.told = True

    def abandon(self) -> None:
        """Close it, since a reply that comes too late would be taken for that of the next."""
        self.tell()
        self.abort(
            ConnectionLost(f"the connection to {self.peer} was closed: a call on it got no reply")
        )
