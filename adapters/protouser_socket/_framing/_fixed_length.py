"""Messages that all have the same length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protouser import ConfigurationError
from protouser_socket._framing._model import DEFAULT_LIMIT, BuiltIn, Decoder, Framing, is_count

__all__ = ["fixed_length"]


def fixed_length(size: int) -> Framing:
    """Every message has ``size`` bytes, both ways; a payload of another length is refused."""
    if not is_count(size):
        raise ConfigurationError(f"fixed_length({size!r}); it is a number of bytes above 0")
    if size > DEFAULT_LIMIT:
        raise ConfigurationError(f"fixed_length({size}); a message may have {DEFAULT_LIMIT} bytes")
    return _FixedLength(size)


@dataclass(frozen=True, slots=True, repr=False)
class _FixedLength(BuiltIn):
    maker: ClassVar[str] = "fixed_length"

    size: int

    def encode(self, payload: bytes) -> bytes:
        if len(payload) != self.size:
            raise ConfigurationError(
                f"the payload has not the {self.size} bytes of each message; pad or cut it"
            )
        return payload

    def decoder(self) -> Decoder:
        return _FixedLengthDecoder(self.size)


class _FixedLengthDecoder(Decoder):
    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def feed(self, data: bytes) -> list[bytes]:
        size = self._size
        if self.rest:
            self.rest += data
            if len(self.rest) < size:
                return []
            data = bytes(self.rest)
            self.rest.clear()
        whole = len(data) - len(data) % size
        if whole < len(data):
            self.rest += data[whole:]
        return [data[start : start + size] for start in range(0, whole, size)]
