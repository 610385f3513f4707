"""What was sent and received, as text that a person can read and that holds no secret."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Mapping
from typing import Any, Final

from protouser._secrets import masked

__all__ = ["as_text", "shown"]

#: Work on one value is bounded, however much of it is shown in the end.
_MOST_READ: Final = 10_000
_MOST_ITEMS: Final = 50
_DEEPEST: Final = 4


def as_text(value: Any, longest: int) -> str | None:
    """``value`` readable, without secrets, cut to ``longest`` characters; None for None."""
    if value is None:
        return None
    whole = _text(value, _DEEPEST)
    text = masked(whole[:_MOST_READ])
    size, unit = (_size(value), "bytes") if _is_bytes(value) else (len(whole), "characters")
    if len(text) <= longest and size <= _MOST_READ:
        return text
    return f"{text[:longest]}... ({size:,} {unit})"


def shown(value: Any) -> str:
    """``value`` as it stands among others: text is quoted, and secrets are still in it."""
    return _inner(value, _DEEPEST)


def _text(value: Any, depth: int) -> str:
    try:
        return _described(value, depth)
    except Exception as error:  # noqa: BLE001  a foreign repr may raise anything
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _described(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return value
    if _is_bytes(value):
        return _of_bytes(memoryview(value)[:_MOST_READ].tobytes(), _size(value) > _MOST_READ)
    if isinstance(value, Mapping) and depth:
        items = list(value.items())[:_MOST_ITEMS]
        return "{" + ", ".join(f"{_inner(k, depth)}: {_inner(v, depth)}" for k, v in items) + "}"
    if isinstance(value, list | tuple) and depth:
        return "[" + ", ".join(_inner(item, depth) for item in value[:_MOST_ITEMS]) + "]"
    return str(value)


def _inner(value: Any, depth: int) -> str:
    text = _text(value, depth - 1)
    return repr(text) if isinstance(value, str) or _is_bytes(value) else text


def _is_bytes(value: Any) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)


def _size(value: Any) -> int:
    return memoryview(value).nbytes


def _of_bytes(data: bytes, cut: bool) -> str:
    """As UTF-8 where that is what it is, else in hexadecimal; a cut may go through a character."""
    try:
        text = getincrementaldecoder("utf-8")().decode(data, final=not cut)
    except UnicodeDecodeError:
        return f"hex {data.hex(' ')}"
    return text if text.isprintable() or not _is_binary(text) else f"hex {data.hex(' ')}"


def _is_binary(text: str) -> bool:
    return any(not (each.isprintable() or each in "\r\n\t") for each in text)
