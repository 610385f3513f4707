"""What a tester sends and gets: str is a text message, bytes are a binary one."""

from __future__ import annotations

from typing import Any

from protouser import ConfigurationError
from protouser_websocket._protocol import BINARY, TEXT

__all__ = ["Message", "Payload", "encode", "size_of"]

Payload = str | bytes | bytearray | memoryview
Message = str | bytes


def encode(payload: Any) -> tuple[int, bytes]:
    """Opcode and bytes of a message.

    Raises:
        ConfigurationError: it is no payload, or text that UTF-8 cannot carry.
    """
    if isinstance(payload, str):
        return TEXT, _utf_8(payload)
    if isinstance(payload, bytes | bytearray | memoryview):
        return BINARY, bytes(payload)
    raise ConfigurationError(f"a payload is str or bytes, not {type(payload).__name__}")


def size_of(message: Message) -> int:
    """How many bytes a message had on the wire."""
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return len(message.encode())


def _utf_8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            "the payload has half of a surrogate pair in it, which UTF-8 cannot carry"
        ) from None
