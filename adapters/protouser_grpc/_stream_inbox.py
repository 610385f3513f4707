"""The messages of a stream as its user has them: the core's inbox, which holds them encoded.

A message is decoded when somebody looks at it, in the greenlet that reads or for a match; what
nobody reads costs no decoding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from protouser import Call, ConnectionLost, Match, MessageSource, now
from protouser_grpc._engines import EngineStream
from protouser_grpc._engines._ended import EndOfStream

__all__ = ["StreamInbox", "StreamSource"]

Note = Callable[[bytes, float], bytes]


class StreamInbox:
    """An inbox over that of an engine's stream; the calls of the core that wait use nothing else.

    Args:
        stream: what delivers.
        decode: makes an object of a message's bytes.
        note: a method that is told of each message that is read. Its object is not kept alive: a
            stream that nobody holds any more has been left.
        row: how an error names the stream.
    """

    def __init__(
        self, stream: EngineStream, decode: Callable[[bytes], Any], note: Note, row: str
    ) -> None:
        self.stream = stream
        self._decode = decode
        self._note = WeakMethod(note)
        self._row = row
        self._seen: tuple[bytes, Any] | None = None

    def __len__(self) -> int:
        return len(self.stream.inbox)

    def get(
        self,
        timeout: float | None = None,
        since: float | None = None,
        awaited: str = "message",
        *,
        match: Match | None = None,
        after: float | None = None,
    ) -> tuple[Any, float, bool]:
        """As ``Inbox.get``; so are those below as their namesakes."""
        raw, at, waited = self.raw(timeout, since, awaited, match=match, after=after)
        return self.read(raw, at), at, waited

    def raw(
        self,
        timeout: float | None = None,
        since: float | None = None,
        awaited: str = "message",
        *,
        match: Match | None = None,
        after: float | None = None,
    ) -> tuple[bytes, float, bool]:
        """As ``get``, but encoded, and not yet read."""
        inbox = self.stream.inbox
        try:
            with self.stream.waiting():
                return inbox.get(timeout, since, awaited, match=self._on_raw(match), after=after)
        except EndOfStream:
            raise self.ended() from None

    def read(self, raw: bytes, at: float) -> Any:
        """A message is given to the user."""
        self.note(raw, at)
        return self.decoded(raw)

    def note(self, raw: bytes, at: float) -> None:
        """A message has its place in the stream's figures."""
        note = self._note()
        if note is not None:
            note(raw, at)

    def decoded(self, raw: bytes) -> Any:
        """The object; looking at the same message again costs nothing."""
        if self._seen is None or self._seen[0] is not raw:
            self._seen = raw, self._decode(raw)
        return self._seen[1]

    def ended(self) -> ConnectionLost:
        """The stream has ended with OK."""
        return ConnectionLost(f"{self._row}: the server has ended the stream with OK")

    # ---- what the core asks of an inbox

    def expect(self, *, match: Match | None, after: float) -> Any:
        return _Awaited(self, self._asked("expect", match=self._on_raw(match), after=after))

    def expect_in_order(self, matches: list[Match | None], after: float) -> list[Any]:
        found = self._asked("expect_in_order", [self._on_raw(match) for match in matches], after)
        return [_Awaited(self, expected) for expected in found]

    def ask(
        self, identify: Callable[[Any], Any], number: Any, *, row: str, match: Match | None
    ) -> Any:
        of_raw = _OfRaw(identify, self)
        asked = self._asked("ask", of_raw, number, row=row, match=self._on_raw(match))
        return _Awaited(self, asked)

    def _asked(self, method: str, *args: Any, **options: Any) -> Any:
        try:
            return getattr(self.stream.inbox, method)(*args, **options)
        except EndOfStream:
            raise self.ended() from None

    def _on_raw(self, match: Match | None) -> Match | None:
        return None if match is None else lambda raw: match(self.decoded(raw))


class _OfRaw:
    """A function of a message, as one of its bytes; equal where the function is."""

    def __init__(self, identify: Callable[[Any], Any], inbox: StreamInbox) -> None:
        self._identify = identify
        self._inbox = inbox
        self._same = getattr(identify, "__code__", identify)

    def __call__(self, raw: bytes) -> Any:
        return self._identify(self._inbox.decoded(raw))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _OfRaw) and self._same == other._same

    def __hash__(self) -> int:
        return hash(self._same)


class _Awaited:
    """A message that was asked for, decoded when it is there."""

    def __init__(self, inbox: StreamInbox, expected: Any) -> None:
        self._inbox = inbox
        self._expected = expected
        self.cancel = expected.cancel

    def wait(self, timeout: float | None, since: float, awaited: str) -> tuple[Any, float, bool]:
        try:
            with self._inbox.stream.waiting():
                raw, at, waited = self._expected.wait(timeout, since, awaited)
        except EndOfStream:
            raise self._inbox.ended() from None
        return self._inbox.read(raw, at), at, waited


class StreamSource(MessageSource[Any]):
    """Where the messages of a stream come from."""

    inbox: StreamInbox  # type: ignore[assignment]  # as far as the core uses one

    def __init__(self, inbox: StreamInbox) -> None:
        self.inbox = inbox

    def length_of(self, message: Any) -> int | None:
        return message.ByteSize() if hasattr(message, "ByteSize") else None

    def until(self, match: Match, timeout: float | None) -> list[Any]:
        """All messages up to the next that matches; where that fails they stay for others."""
        inbox, began, got = self.inbox, now(), list[tuple[bytes, float]]()
        try:
            while not got or not match(inbox.decoded(got[-1][0])):
                raw, at, _ = inbox.raw(timeout, began)
                got.append((raw, at))
        except BaseException:
            inbox.stream.inbox.give_back(got)
            raise
        return [inbox.read(raw, at) for raw, at in got]

    def exchange(self, call: Call, send: Callable[[Any, float | None], None]) -> Any:
        """Send ``call.request``, and return the message with its id, or the next that matches."""
        request, inbox, began = call.request, self.inbox, now()
        number = None
        if request.correlate is not None:
            number = request.correlate.id_of(request.payload)
        if number is None:
            expected = inbox.expect(match=request.match, after=began)
        else:
            identify = request.correlate.of_message
            expected = inbox.ask(identify, number, row=call.name, match=request.match)
        try:
            send(request.payload, request.timeout)
            message, at, waited = expected.wait(request.timeout, began, "reply")
        except BaseException:
            expected.cancel()
            raise
        call.stop(at)
        self.note_arrival(call, message, at, waited)
        return message
