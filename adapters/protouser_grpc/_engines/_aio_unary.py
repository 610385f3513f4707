"""Unary calls on grpc.aio: begun in the loop's thread, awaited in a greenlet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc

from protouser import now
from protouser.native import Handover
from protouser_grpc._engines._direct import direct_status, new_call
from protouser_grpc._engines._interface import Reply
from protouser_grpc._engines._loop import Steps
from protouser_grpc._engines._status import CLOSED, finished, metadata_of, status_of
from protouser_grpc._options import Terms
from protouser_grpc._outcome import Status

if TYPE_CHECKING:
    from protouser_grpc._engines._aio import AioChannel

__all__ = ["DirectUnaryCall", "UnaryCall"]

_OK: Final = Status(grpc.StatusCode.OK)
_NO_ANSWER: Final = Status(grpc.StatusCode.INTERNAL, "the server sent no answer")


class UnaryCall(Handover, Steps):
    """A unary call on its way; gives its ``Reply``, or what grpc.aio raised."""

    __slots__ = ("_call", "_channel", "_headers", "_path", "_request", "_steps", "_terms")

    def __init__(
        self, channel: AioChannel, path: str, request: bytes, terms: Terms, headers: bool
    ) -> None:
        Handover.__init__(self)
        self._channel = channel
        self._path = path
        self._request = request
        self._terms = terms
        self._headers = headers
        self._call: Any = None

    def start(self) -> None:
        """Send it; in the loop's thread, as all that follows."""
        method = self._channel.method("unary_unary", self._path)
        if method is None:
            self.give(Reply(b"", now(), CLOSED))
            return
        timeout, metadata, wait_for_ready = self._terms
        try:
            self._call = method(
                self._request, timeout=timeout, metadata=metadata, wait_for_ready=wait_for_ready
            )
        except Exception as error:  # noqa: BLE001  the greenlet that waits is to have it
            self._raised(error)
            return
        self._steps = self._call.__await__()
        self._step()

    def cancel(self) -> None:
        """End it; nobody waits for its reply."""
        if self._call is not None:
            self._call.cancel()

    def _returned(self, value: bytes) -> None:
        at = now()
        status = _OK
        if self._headers:
            initial = metadata_of(finished(self._call.initial_metadata()))
            trailing = metadata_of(finished(self._call.trailing_metadata()))
            status = Status(grpc.StatusCode.OK, "", initial, trailing)
        self._forget()
        self.give(Reply(value, at, status))

    def _raised(self, error: BaseException) -> None:
        at = now()
        self._forget()
        status = status_of(error)
        self.give(Reply(b"", at, status) if status else error.with_traceback(None))

    def _forget(self) -> None:
        self._steps = None
        self._call = None


class DirectUnaryCall(UnaryCall):
    """The same on the lower layer of grpc.aio."""

    __slots__ = ()

    def start(self) -> None:
        """Send it; in the loop's thread, as all that follows."""
        channel = self._channel
        if channel.lower is None:
            self.give(Reply(b"", now(), CLOSED))
            return
        timeout, metadata, wait_for_ready = self._terms
        try:
            call = new_call(channel.lower, self._path.encode(), timeout, wait_for_ready)
            self._steps = call.unary_unary(self._request, metadata)
        except Exception as error:  # noqa: BLE001  the greenlet that waits is to have it
            self._raised(error)
            return
        self._call = call
        channel.running.add(self)
        self._step()

    def cancel(self) -> None:
        """End it; nobody waits for its reply."""
        if self._call is not None and not self._call.done():
            self._call.cancel("cancelled by this side")

    def _returned(self, value: bytes | None) -> None:
        at = now()
        if value is not None and not self._headers:
            status = _OK
        else:
            status = direct_status(self._call)
            if value is None and status.ok:
                status = _NO_ANSWER
        self._forget()
        self.give(Reply(value or b"", at, status))

    def _forget(self) -> None:
        self._channel.running.discard(self)
        super()._forget()
