"""Messages whose end a function of the tester's finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from protouser import ConfigurationError, MalformedMessage
from protouser_socket._framing._model import (
    DEFAULT_LIMIT,
    BuiltIn,
    Decoder,
    Framing,
    check_limit,
    is_count,
)

__all__ = ["framing_function"]

FindEnd = Callable[[bytearray], int | None]


def framing_function(find_end: FindEnd, *, limit: int = DEFAULT_LIMIT) -> Framing:
    """``find_end(buffer)`` returns the length of the first message in ``buffer``, None if unknown.

    The buffer begins with a message and is never empty. A length may be more than is there, and may
    then be too small: the function is asked again when there is so much, and no sooner, which keeps
    long messages cheap. It must neither change nor keep the buffer. What it raises ends the
    connection, a ``MalformedMessage`` with the reason that it gives.

    Messages come whole, as they stand in the stream, and what is sent goes as it is; a ``codec``
    around this makes both convenient.
    """
    if not callable(find_end):
        raise ConfigurationError(f"framing_function({find_end!r}) is no function")
    check_limit("framing_function", limit)
    return _Function(find_end, limit)


@dataclass(frozen=True, slots=True, repr=False)
class _Function(BuiltIn):
    maker: ClassVar[str] = "framing_function"

    find_end: FindEnd
    limit: int = DEFAULT_LIMIT

    def encode(self, payload: bytes) -> bytes:
        return payload

    def decoder(self) -> Decoder:
        return _FunctionDecoder(self.find_end, self.limit)


class _FunctionDecoder(Decoder):
    def __init__(self, find_end: FindEnd, limit: int) -> None:
        super().__init__()
        self._find_end = find_end
        self._limit = limit
        self._needed = 0

    def feed(self, data: bytes) -> list[bytes]:
        messages: list[bytes] = []
        if self.fault is not None:
            return messages
        rest = self.rest
        rest += data
        while rest and len(rest) >= self._needed:
            length = self._next_length()
            self._needed = length or 0
            if length is None or length > len(rest):
                break
            with memoryview(rest) as view:
                messages.append(bytes(view[:length]))
            del rest[:length]  # moves no bytes but now and then
            self._needed = 0
        return messages

    def _next_length(self) -> int | None:
        """How long the first message is; None where nobody knows, or there is a fault."""
        try:
            length = self._find_end(self.rest)
        except MalformedMessage as error:
            self.fault = error
            return None
        except Exception as error:  # noqa: BLE001  whatever the tester's function raises
            self.fault = MalformedMessage(f"{self._name} raised {type(error).__name__}")
            self.fault.__cause__ = error
            return None
        if length is not None and not is_count(length):
            self.fault = MalformedMessage(
                f"{self._name} returned no length above 0, and not None either"
            )
            return None
        if (len(self.rest) if length is None else length) > self._limit:
            self.fault = MalformedMessage(
                f"{self._name} found no message within the limit of {self._limit} bytes;"
                " is the framing the server's?"
            )
            return None
        return length

    @property
    def _name(self) -> str:
        return f"{getattr(self._find_end, '__name__', 'the function')}() of the framing"
