"""What was sent and received, as text that a person can read and that holds no secret.

Secrets are found by the name that stands before them: in mappings, JSON, headers, query strings and
the text form of messages. What has no name, such as a password that is sent alone on a line, cannot
be told from other words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["as_text", "masked"]

_SECRET: Final = (
    r"[\w.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key"
    r"|credential|session[_-]?id)[\w.-]*|authorization|proxy-authorization|(?:set-)?cookie|pwd|auth"
)
#: A name, what stands between, and a value: quoted, or up to where such a value usually ends.
_NAMED: Final = re.compile(
    rf"""(?P<name>(?<![\w.-])(?:{_SECRET})["']?\s*(?:[:=]|,\s*(?=b?["']))\s*)"""
    r"""(?P<value>b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'|(?:basic|bearer|digest)\s+\S+|[^\s,;&}\])]+)""",
    re.IGNORECASE,
)
_IN_URL: Final = re.compile(
    r"(?P<before>[a-z][a-z0-9+.-]*://[^\s/@:]*:)[^\s/]*(?=@)", re.IGNORECASE
)

#: Work on one value is bounded, however much of it is shown in the end.
_MOST_READ: Final = 20_000
_MOST_ITEMS: Final = 50
_DEEPEST: Final = 4


def as_text(value: Any, longest: int) -> str | None:
    """``value`` readable, without secrets, cut to ``longest`` characters; None for None."""
    if value is None:
        return None
    text = masked(_text(value, _DEEPEST)[:_MOST_READ])
    if len(text) <= longest:
        return text
    return f"{text[:longest]}... ({len(text):,} characters)"


def masked(text: str) -> str:
    """``text`` with stars for what follows the name of a secret, and for passwords in URLs."""
    text = _NAMED.sub(lambda found: f"{found['name']}***", text)
    return _IN_URL.sub(lambda found: f"{found['before']}***", text)


def _text(value: Any, depth: int) -> str:
    try:
        return _described(value, depth)
    except Exception as error:  # noqa: BLE001  a foreign repr may raise anything
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _described(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return _of_bytes(bytes(value[:_MOST_READ]))
    if isinstance(value, Mapping) and depth:
        items = list(value.items())[:_MOST_ITEMS]
        return "{" + ", ".join(f"{_inner(k, depth)}: {_inner(v, depth)}" for k, v in items) + "}"
    if isinstance(value, list | tuple) and depth:
        return "[" + ", ".join(_inner(item, depth) for item in value[:_MOST_ITEMS]) + "]"
    fields = _fields(value)
    if fields and depth:
        inside = ", ".join(f"{name}={_inner(each, depth)}" for name, each in fields)
        return f"{type(value).__name__}({inside})"
    return str(value)


def _inner(value: Any, depth: int) -> str:
    text = _text(value, depth - 1)
    return repr(text) if isinstance(value, str | bytes | bytearray | memoryview) else text


def _of_bytes(data: bytes) -> str:
    """As UTF-8 where that is what it is, else in hexadecimal."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"hex {data.hex(' ')}"
    return text if text.isprintable() or not _is_binary(text) else f"hex {data.hex(' ')}"


def _is_binary(text: str) -> bool:
    return any(not (each.isprintable() or each in "\r\n\t") for each in text)


def _fields(value: Any) -> list[tuple[str, Any]]:
    """The public slots and properties of an object of ours that says what is sent."""
    kind = type(value)
    if not kind.__module__.startswith("protouser"):
        return []
    slots = [name for base in reversed(kind.__mro__) for name in getattr(base, "__slots__", ())]
    properties = [name for name, each in vars(kind).items() if isinstance(each, property)]
    names = [name for name in (*slots, *properties) if not name.startswith("_")]
    found = [(name, getattr(value, name, None)) for name in names]
    return [(name, each) for name, each in found if each is not None]
