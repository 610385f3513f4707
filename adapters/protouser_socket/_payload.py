"""What a tester sends: bytes as they are, text as UTF-8."""

from __future__ import annotations

from typing import Any

from protouser import Call, ConfigurationError

__all__ = ["payload_of", "text_as_bytes"]


def payload_of(call: Call, payload: Any) -> bytes:
    """``payload`` as bytes, what ``call`` sends; their number becomes the call's.

    Raises:
        ConfigurationError: it is neither bytes nor str, or text that UTF-8 cannot carry.
    """
    sent: bytes = payload if type(payload) is bytes else _as_bytes(payload)
    call.request_length = len(sent)
    return sent


def text_as_bytes(payload: Any) -> Any:
    """``payload`` as a server would send it: messages are bytes, so text is UTF-8."""
    return _as_bytes(payload) if isinstance(payload, str) else payload


def _as_bytes(payload: Any) -> bytes:
    if isinstance(payload, str):
        try:
            return payload.encode()
        except UnicodeEncodeError:
            raise ConfigurationError(
                "the payload has half of a surrogate pair in it, which UTF-8 cannot carry"
            ) from None
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload)
    raise ConfigurationError(f"a payload is bytes or str, not {type(payload).__name__}")
