"""A message that something else triggers: asked for before, measured until it arrives."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from protouser._call import Call, now
from protouser._expected import Expected
from protouser._message_source import MessageSource
from protouser._request import Request

__all__ = ["Expectation"]


class Expectation:
    """One sample from when it was made to the arrival of a message.

    As a context manager it waits at the end of its block; without one, ``wait`` does. Where neither
    comes to its end, the call is cancelled.

    Attributes:
        message: what arrived; None before.
    """

    message: Any = None

    def __init__(
        self,
        call: Call,
        source: MessageSource[Any],
    ) -> None:
        self._source = source
        self._waited = False
        self._call = call.begin()
        self._since = now()
        request: Request = call.request  # as the hooks have left it
        self._timeout = request.timeout
        try:
            self._expected: Expected[Any] = source.inbox.expect(
                match=request.match, after=self._since
            )
        except BaseException as error:
            self._fail(error)
            raise

    def wait(self) -> Any:
        """Wait for the message and return it; a second time it is returned again.

        Raises:
            CallTimeout: it did not come in time, counted from when this was made.
            ConnectionLost: the connection ended first.
        """
        if self._waited:
            return self.message
        self._waited = True
        call = self._call
        try:
            message, at, waited = self._expected.wait(self._timeout, self._since, "message")
        except BaseException as error:
            self._fail(error)
            raise
        self.message = call.response = message
        call.stop(at)
        self._source.note_arrival(call, message, at, waited)
        call.end()
        return message

    def _fail(self, error: BaseException) -> None:
        self._source.note_end(error)
        self._call.end(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.wait()
        elif not self._waited:
            self._waited = True
            self._expected.cancel()
            self._call.cancel()
