"""What a tester sends: bytes as they are, text as UTF-8."""

from __future__ import annotations

from typing import Any

from protouser import Call, ConfigurationError

__all__ = ["payload_of"]


def payload_of(call: Call) -> bytes:
    """``call.request`` as bytes; their number becomes the call's.

    Raises:
        ConfigurationError: it is neither bytes nor str, or text that UTF-8 cannot carry.
    """
    payload = call.request
    if type(payload) is not bytes:
        payload = _as_bytes(payload)
    call.request_length = len(payload)
    return payload


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
