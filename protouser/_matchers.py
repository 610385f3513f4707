"""What a message looks like: predicates that can be combined, and that say what they look for.

They serve as ``match=`` of whoever waits for a message and as ``check=`` of any call, and see the
payload: the message itself, or its ``payload`` where it has one. Text and bytes are compared as
UTF-8, since the same tester's word may arrive as either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from protouser._excerpt import difference, excerpt

__all__ = [
    "MISSING",
    "Matcher",
    "as_text",
    "contains",
    "descend",
    "equals",
    "field",
    "payload_of",
    "regex",
    "steps_of",
    "structure_of",
]

Predicate = Callable[[Any], Any]

MISSING: Final = object()
_STEP: Final = re.compile(r"[^.\[\]]+|\[-?\d+\]")


class Matcher:
    """A predicate over messages; ``&``, ``|`` and ``~`` combine it, also with plain functions."""

    __slots__ = ("_explain", "_test", "_words")

    def __init__(
        self, test: Predicate, words: str, explain: Callable[[Any], str] | None = None
    ) -> None:
        self._test = test
        self._words = words
        self._explain = explain

    def explain(self, message: Any) -> str:
        """Why ``message`` is not what is looked for, cut to what a table can show."""
        text = "" if self._explain is None else self._explain(message)
        return text or f"expected {self!r}, got {excerpt(message)}"

    def __call__(self, message: Any) -> bool:
        """True when ``message`` is what is looked for."""
        return bool(self._test(message))

    def __and__(self, other: Predicate) -> Matcher:
        return Matcher(lambda message: self(message) and other(message), _join(self, "&", other))

    def __or__(self, other: Predicate) -> Matcher:
        return Matcher(lambda message: self(message) or other(message), _join(self, "|", other))

    __rand__ = __and__
    __ror__ = __or__

    def __invert__(self) -> Matcher:
        return Matcher(lambda message: not self(message), f"~{self}")

    def __repr__(self) -> str:
        return self._words


def equals(wanted: Any) -> Matcher:
    """The payload is ``wanted``."""

    def test(message: Any) -> bool:
        payload = payload_of(message)
        return bool(payload == _as(payload, wanted)) or bool(message == wanted)

    def explain(message: Any) -> str:
        payload = payload_of(message)
        return difference(_as(payload, wanted), payload)

    return Matcher(test, f"equals({wanted!r})", explain)


def contains(part: Any) -> Matcher:
    """The payload has ``part`` in it: a piece of text or bytes, or an element."""

    def test(message: Any) -> bool:
        payload = payload_of(message)
        try:
            return _as(payload, part) in payload
        except TypeError:  # it is no container
            return False

    return Matcher(test, f"contains({part!r})")


def regex(pattern: str) -> Matcher:
    """The payload's text has a place that ``pattern`` matches; write ``^...$`` for all of it."""
    compiled = re.compile(pattern)

    def test(message: Any) -> bool:
        text = as_text(payload_of(message))
        return text is not None and compiled.search(text) is not None

    return Matcher(test, f"regex({pattern!r})")


def field(path: str, wanted: Any = MISSING) -> Matcher:
    """The field at ``path`` of a JSON text, a mapping or an object is ``wanted``; or is there.

    A path is names with dots and indices in brackets: ``order.items[0].price``. ``wanted`` may be a
    predicate. A payload that is no JSON has no fields. In a protobuf message a message, an
    ``optional`` field and a member of a ``oneof`` are there when they are set.
    """
    steps = steps_of(path)
    words = f"field({path!r})" if wanted is MISSING else f"field({path!r}, {wanted!r})"

    def test(message: Any) -> bool:
        value = descend(structure_of(payload_of(message)), steps)
        if wanted is MISSING or value is MISSING:
            return value is not MISSING
        return bool(wanted(value) if callable(wanted) else value == wanted)

    return Matcher(test, words)


def _join(left: object, sign: str, right: object) -> str:
    return f"({left} {sign} {getattr(right, '__name__', right)})"


def payload_of(message: Any) -> Any:
    """The payload of a message that has one, or the message itself."""
    return getattr(message, "payload", message)


def _as(payload: Any, wanted: Any) -> Any:
    """``wanted`` as bytes or text, whichever the payload is."""
    if isinstance(payload, bytes | bytearray) and isinstance(wanted, str):
        return wanted.encode()
    if isinstance(payload, str) and isinstance(wanted, bytes | bytearray):
        return wanted.decode("utf-8", "replace")
    return wanted


def as_text(payload: Any) -> str | None:
    """Text, or bytes read as UTF-8; None for anything else."""
    if isinstance(payload, bytes | bytearray):
        return payload.decode("utf-8", "replace")
    return payload if isinstance(payload, str) else None


def structure_of(payload: Any) -> Any:
    """What a JSON text holds, None where it is none; anything that is no text as it is."""
    if not isinstance(payload, str | bytes | bytearray):
        return payload
    try:
        return json.loads(payload)
    except ValueError:
        return None


def steps_of(path: str) -> list[str | int]:
    """A path as names and indices."""
    return [_step(word) for word in _STEP.findall(path)]


def _step(word: str) -> str | int:
    return int(word[1:-1]) if word.startswith("[") else word


def descend(value: Any, steps: Sequence[str | int]) -> Any:
    """What is found at the end of a path, or ``MISSING``; the value stays as it is.

    What a protobuf message tells to be unset is not there, though reading it shows a default.
    """
    for step in steps:
        try:
            if isinstance(value, Mapping) and step not in value:  # some make what is asked for
                return MISSING
            if isinstance(step, int) or isinstance(value, Mapping):
                value = value[step]
            else:
                value = MISSING if _is_unset(value, step) else getattr(value, step)
        except (AttributeError, IndexError, KeyError, TypeError):
            return MISSING
    return value


def _is_unset(message: Any, name: str) -> bool:
    has = getattr(message, "HasField", None)
    try:
        return has is not None and not has(name)
    except ValueError:  # a field that is always there, as a number of proto3, or no field
        return False
