"""Where messages come from, as the calls that wait for them see it."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

from protouser._call import Call, now
from protouser._errors import CallTimeout, ProtouserError
from protouser._inbox import Inbox
from protouser._request import Request

__all__ = ["LATE_WAKE", "MessageSource"]

Message = TypeVar("Message")

#: The series of the messages whose greenlet went on so late after their bytes had come, that this
#: machine was the reason. It is no part of the call's time.
LATE_WAKE: Final = "late wake"
#: Seconds; below this a look at the clock is all that a message costs for it.
LATE: Final = 0.001


class MessageSource(Generic[Message]):
    """An inbox, and what is known of its end.

    Attributes:
        inbox: what has come and nobody has read.
        told: a call has failed because of the end, or it was closed on this side.
        lost: it was told by a call that failed, before anybody closed it on this side.
        served: a call has got a message.
    """

    inbox: Inbox[Message]
    told: bool = False
    lost: bool = False
    served: bool = False

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
        self.note_arrival(call, message, at, waited)
        return message

    def receive_until(self, call: Call) -> list[Message]:
        """All messages up to the next that matches; where that fails they stay for others."""
        timeout, match = call.request.timeout, call.request.match
        began, got = now(), list[tuple[Message, float]]()
        try:
            while not got or not match(got[-1][0]):
                message, at, _ = self.inbox.get(timeout, began)
                got.append((message, at))
        except BaseException as error:
            self.inbox.give_back(got)
            self.note_end(error)
            raise
        self.served = True
        call.spend("wait", max(at - began, 0.0))
        call.stop(at)
        call.count("messages", len(got))
        messages = [message for message, _ in got]
        lengths = [self.length_of(message) for message in messages]
        call.response_length = sum(_length(*pair) for pair in zip(messages, lengths, strict=True))
        return messages

    def note_arrival(self, call: Call, message: Message, at: float, waited: bool) -> None:
        """The call has its message; where it was waited for, the call ended with its arrival."""
        self.served = True
        if waited:
            call.stop(at)
            late = now() - at
            if late >= LATE:
                call.spend(LATE_WAKE, late)
        call.response_length = self.length_of(message)

    def length_of(self, message: Any) -> int | None:
        """How many bytes a message had on the wire; None where its own length says it."""
        return None

    def note_end(self, error: BaseException) -> None:
        """A call that waits failed by this: where it is the end of the connection, it was told."""
        if isinstance(error, ProtouserError) and not isinstance(error, CallTimeout):
            self.lost = self.lost or not self.told
            self.tell()

    def tell(self) -> None:
        """A call learns of the end right now."""
        self.told = True


def _length(message: Any, known: int | None) -> int:
    return len(message) if known is None else known
