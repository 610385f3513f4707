"""One message per connection: all that the server sends before it closes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protouser import MalformedMessage
from protouser_socket._framing._model import DEFAULT_LIMIT, BuiltIn, Decoder, Framing, check_limit

__all__ = ["Collector", "until_close"]


def until_close(*, limit: int = DEFAULT_LIMIT) -> Framing:
    """A message is all that comes before the orderly end of the connection.

    What is sent goes as it is, so write the end of a request into the payload. A connection that
    ends without a byte, or is reset, has no message.
    """
    check_limit("until_close", limit)
    return _UntilClose(limit)


@dataclass(frozen=True, slots=True, repr=False)
class _UntilClose(BuiltIn):
    maker: ClassVar[str] = "until_close"

    limit: int = DEFAULT_LIMIT

    def encode(self, payload: bytes) -> bytes:
        return payload

    def decoder(self) -> Decoder:
        return Collector(self.limit, "before the connection ended")


class Collector(Decoder):
    """Keeps everything until it is told that the message is whole.

    Args:
        limit: how much may be kept, in bytes.
        missing: what did not happen before the limit, for the message of the fault.
    """

    def __init__(self, limit: int, missing: str) -> None:
        super().__init__()
        self._limit = limit
        self._missing = missing

    def feed(self, data: bytes) -> list[bytes]:
        if self.fault is None:
            self.rest += data
            if len(self.rest) > self._limit:
                self.fault = MalformedMessage(
                    f"more than {self._limit} bytes {self._missing}; is the framing the server's?"
                )
        return []

    def finish(self) -> list[bytes]:
        if self.fault is not None:
            raise self.fault
        return self.taken()

    def taken(self) -> list[bytes]:
        """What was kept, as one message, where it is any byte."""
        if not self.rest:
            return []
        message = bytes(self.rest)
        self.rest.clear()
        return [message]
