"""Values as a table of failures can show them: cut, and around the place where they differ.

What is shown is a tester's or a library's, whose ``__str__`` and ``__repr__`` may raise.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["difference", "excerpt", "representation", "text_of"]

_LONGEST: Final = 60
_BEFORE: Final = 10
_AROUND: Final = 25


def excerpt(value: Any) -> str:
    """The beginning of a value, as Python writes it."""
    text = repr(value[: _LONGEST + 1] if isinstance(value, str | bytes) else value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def text_of(error: BaseException, otherwise: str = "") -> str:
    """What an exception says; where it says nothing ``otherwise``, or the name of its type."""
    kind = type(error).__name__
    try:
        return str(error) or otherwise or kind
    except Exception as trouble:  # noqa: BLE001  a foreign __str__ may raise anything
        return f"{kind} whose text cannot be shown: {type(trouble).__name__}"


def representation(value: Any) -> str:
    """``repr(value)``, or what kept it from being made."""
    try:
        return repr(value)
    except Exception as trouble:  # noqa: BLE001  a foreign __repr__ may raise anything
        return f"<{type(value).__name__} that cannot be shown: {type(trouble).__name__}>"


def difference(wanted: Any, got: Any) -> str:
    """Where two long texts differ first, and what stands there; "" for anything else."""
    if type(wanted) is not type(got) or not isinstance(wanted, str | bytes):
        return ""
    if max(len(wanted), len(got)) <= _AROUND:
        return ""
    pairs = zip(wanted, got, strict=False)
    shorter = min(len(wanted), len(got))
    at = next((place for place, (one, other) in enumerate(pairs) if one != other), shorter)
    part = slice(max(0, at - _BEFORE), at + _AROUND)
    return f"differs at {at}: expected {wanted[part]!r}, got {got[part]!r}"
