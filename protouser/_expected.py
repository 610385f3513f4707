"""A message that was asked for before it comes, and is waited for at leisure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from protouser._errors import CallTimeout
from protouser._reader import Reader

if TYPE_CHECKING:
    from protouser._inbox import Inbox

__all__ = ["Expected"]

Message = TypeVar("Message")


class Expected(Generic[Message]):
    """A message that was asked for, and may have come already."""

    def __init__(self, inbox: Inbox[Message], reader: Reader[Message]) -> None:
        self._inbox = inbox
        self._reader = reader

    def wait(
        self, timeout: float | None, since: float, awaited: str
    ) -> tuple[Message, float, bool]:
        """As ``Inbox.get``, and once only. What came after its time is left to others."""
        reader = self._reader
        waited = not reader.done
        if waited:
            if timeout is not None:
                reader.deadline = since + timeout
            self._inbox._wait(reader)
        if reader.error is not None:
            raise reader.refusal(awaited, timeout)
        if not waited and timeout is not None and reader.at > since + timeout:
            self._inbox._leave(reader)
            raise CallTimeout(f"no {awaited} within {timeout:g} s")
        reader.left = True  # it was read
        return reader.message, reader.at, waited

    def cancel(self) -> None:
        """It is not wanted any more; if it has come and was not read it is kept for others."""
        self._inbox._leave(self._reader)

    def __del__(self) -> None:
        # who asked and never waited must not take a message from others for good
        self.cancel()
