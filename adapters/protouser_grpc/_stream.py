"""A streaming call as its user has it: messages both ways, measured as one call.

The call begins when the stream is opened and ends with the server's status; the first message is
a phase "first message", their number is the counter "messages" and the call's response. Whoever
leaves before the end cancels the call at the server: a success up to there, counted as "left".
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self, Unpack

import grpc

from protouser import (
    Call,
    CallOptions,
    CallTimeout,
    Consumption,
    Correlate,
    CorrelatedRequest,
    Match,
    Messaging,
    ProtocolClient,
    now,
)
from protouser_grpc._engines import EngineStream
from protouser_grpc._feeder import Feeder
from protouser_grpc._method import Method
from protouser_grpc._outcome import Metadata, Status
from protouser_grpc._stream_inbox import StreamInbox, StreamSource

__all__ = ["FIRST_MESSAGE", "MESSAGES", "GrpcStream"]

FIRST_MESSAGE: Final = "first message"
MESSAGES: Final = "messages"
UNREAD: Final = "unread"


class GrpcStream(Messaging, Iterator[Any]):
    """One streaming call: a context manager, an iterator of answers, or both.

    ``request``, ``expect`` and ``sequence`` are samples of their own within it, with the stream's
    row and their verb as their row. What is sent and received otherwise is counted as the
    stream's "messages" alone.

    Attributes:
        call: what is measured; ``call.failure(...)`` decides about it.
    """

    timeout = None  # the deadline of the whole call holds

    def __init__(
        self,
        client: ProtocolClient,
        call: Call,
        method: Method,
        stream: EngineStream,
        timeout: float | None,
    ) -> None:
        self.call = call
        self.correlate: Correlate | None = None
        self.perform = client.perform
        self.measure = client.measure
        self.source = StreamSource(StreamInbox(stream, method.decode, self._note, method.row))
        self._method = method
        self._stream = stream
        self._timeout = timeout
        self._feeder: Feeder | None = None
        self._open = True
        self._half_closed = False
        self._messages = 0
        self._received = 0
        self._sent = 0

    def send(self, message: Any, timeout: float | None = None) -> None:
        """Send a message, a dict or an object of its class; returns when it is queued.

        Raises:
            CallTimeout: the server took none within ``timeout`` seconds, and too many are queued.
            GrpcError: the call has ended with this status.
            ConnectionLost: the server has ended it with OK.
        """
        data = self._method.encode(message)
        self._stream.send(data, self._timeout if timeout is None else timeout)
        self._sent += len(data)
        if not self._method.streams_requests:
            self.done_writing()

    def receive(  # type: ignore[override]  # it is no call of its own
        self, *, timeout: float | None = None, match: Match | None = None
    ) -> Any:
        """The next message, or the next for which ``match`` is true; others are kept for others.

        Raises:
            CallTimeout: none within ``timeout`` seconds; the call goes on. Without a timeout its
                deadline holds.
            GrpcError: the call has ended with this status.
            ConnectionLost: the server has ended it with OK.
        """
        return self.source.inbox.get(timeout, match=match)[0]

    def receive_until(  # type: ignore[override]
        self, match: Match, *, timeout: float | None = None
    ) -> list[Any]:
        """The list of all messages up to the next for which ``match`` is true, that one included.

        Where that one does not come, those before it stay for other calls. Raises as ``receive``.
        """
        return self.source.until(match, timeout)

    def consume(  # type: ignore[override]
        self,
        *,
        for_: float | None = None,
        count: int | None = None,
        match: Match | None = None,
        timeout: float | None = None,
    ) -> list[Any]:
        """The list of the messages that come for so many seconds, or until there are ``count``.

        ``for_`` ends in silence, however many came. Raises as ``receive``.
        """
        Consumption.check(for_, count)
        return Consumption(self.source, None, for_, count, timeout).run(match)

    def request(
        self,
        message: Any,
        *,
        match: Match | None = None,
        timeout: float | None = None,
        correlate: Any = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Send a message and return the one that answers it: a sample, from send to arrival.

        That is the next to arrive for which ``match`` is true, or the next of all; with
        ``correlate``, of this call or of the stream, the one with the id of the request, as on
        every protocol. Without an id a late reply could be taken for that of the next request, so
        a request that failed ends the stream.

        Raises:
            CallTimeout: no reply within ``timeout`` seconds; without one the stream's deadline
                holds.
            GrpcError: the stream has ended with this status.
            ConnectionLost: the server has ended it with OK.
        """
        by_id = self.correlate if correlate is None else Correlate.of(correlate)
        asked = CorrelatedRequest(message, timeout, match, by_id)
        return self.perform(self.row_of("request"), self._exchange, request=asked, **options)

    def readable(self) -> StreamSource:
        return self.source

    def row_of(self, verb: str) -> str:
        return f"{self.call.name} {verb}"

    def _exchange(self, call: Call) -> Any:
        try:
            return self.source.exchange(call, self.send)
        except BaseException as error:
            if call.request.correlate is None and self._open:
                self._fail(error)
            raise

    def done_writing(self) -> None:
        """No more messages will be sent; the server may go on."""
        if not self._half_closed:
            self._half_closed = True
            self._stream.done_writing()

    def cancel(self) -> None:
        """Leave the stream: it is cancelled at the server, unless it has ended."""
        self._leave()

    def initial_metadata(self) -> Metadata:
        """The headers of the answer; waits for them."""
        return self._stream.headers(self._timeout)

    def trailing_metadata(self) -> Metadata:
        """The trailers of the answer; empty before its end."""
        return self._status().trailing

    def code(self) -> grpc.StatusCode | None:
        """The status code; None before the end."""
        return None if self._stream.status is None else self._stream.status.code

    def details(self) -> str:
        """What was said about the status."""
        return self._status().details

    def is_active(self) -> bool:
        """True until the end is known."""
        return self._stream.status is None

    def start(self, request: Any) -> None:
        """Send the request, or all that an iterable yields, in a greenlet where that takes time."""
        try:
            if self._method.streams_requests:
                self._half_closed = True
                self._feeder = Feeder(self._stream, self._method.encode, request, self._timeout)
            else:
                self.send(request)
        except BaseException as error:
            self._fail(error)
            raise

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if not self._open:
            raise StopIteration
        try:
            found = self._stream.receive()
            if found is not None:
                return self._method.decode(self._note(*found))
        except BaseException as error:
            cause = self._fail(error)
            if cause is error:
                raise
            raise cause from None
        self._conclude()
        self.call.stop(self._stream.ended_at)
        self.call.end()
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not self._open:
            return False
        if error is None:
            self._end_of_block()
            return False
        self._conclude()
        if error is self._error_of_feeder() or isinstance(error, grpc.RpcError):
            self._stop_at_end()
        return self.call.__exit__(kind, error, traceback)

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self._leave()

    def _end_of_block(self) -> None:
        if self._stream.status is None and self._half_closed and self._method.streams_requests:
            for _ in self:  # all was sent: the server says how it went
                pass
            return
        status = self._stream.status
        if status is None:
            self._leave()
            return
        self._conclude()
        self._stop_at_end()
        self.call.end(None if status.ok else status.error(self._timeout))

    def _note(self, data: bytes, at: float) -> bytes:
        if not self._messages:
            self.call.mark(FIRST_MESSAGE, at)
        self._messages += 1
        self._received += len(data)
        self.call.stop(at)
        return data

    def _fail(self, error: BaseException) -> BaseException:
        """End the call with what went wrong: what the requests raised, or else the error."""
        cause = self._error_of_feeder() or error
        self._conclude()
        if isinstance(error, grpc.RpcError):
            self._stop_at_end()
        elif not isinstance(error, CallTimeout):
            self.call.stop(now())
        self.call.end(cause)
        return cause

    def _leave(self) -> None:
        if self._open:
            self._conclude()
            self.call.leave()

    def _conclude(self) -> None:
        """Nothing more is done with this stream; the call gets what is known of it."""
        self._open = False
        if self._feeder is not None:
            self._feeder.stop()
        self._stream.cancel()
        call = self.call
        call.response = self._messages
        call.response_length = self._received
        call.request_length = call.request_length or self._sent
        if self._messages:
            call.count(MESSAGES, self._messages)
        if self._stream.inbox.unread:
            call.count(UNREAD, self._stream.inbox.unread)

    def _stop_at_end(self) -> None:
        if self._stream.status is not None:
            self.call.stop(self._stream.ended_at)

    def _error_of_feeder(self) -> BaseException | None:
        return None if self._feeder is None else self._feeder.error

    def _status(self) -> Status:
        return self._stream.status or Status(grpc.StatusCode.UNKNOWN)
