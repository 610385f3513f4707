"""Where the id of a message stands, for ``correlate=``: a JSON field, a pattern, or some bytes.

Each is a function of a request or of a message, and returns None where it finds no id. Two that are
written alike are equal, so they may be made anew for each call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from protouser._errors import ConfigurationError
from protouser._matchers import MISSING, as_text, descend, payload_of, steps_of, structure_of

__all__ = ["by_bytes", "by_field", "by_regex"]


@dataclass(frozen=True)
class _Field:
    path: str
    steps: Sequence[str | int] = field(compare=False, repr=False)

    def __call__(self, message: Any) -> Any:
        found = descend(structure_of(payload_of(message)), self.steps)
        return None if found is MISSING else found


@dataclass(frozen=True)
class _Regex:
    pattern: re.Pattern[str]

    def __call__(self, message: Any) -> str | None:
        text = as_text(payload_of(message))
        found = None if text is None else self.pattern.search(text)
        return None if found is None else found[self.pattern.groups and 1]


@dataclass(frozen=True)
class _Bytes:
    start: int
    stop: int
    order: Literal["big", "little"]

    def __call__(self, message: Any) -> int | None:
        payload = payload_of(message)
        data = payload.encode() if isinstance(payload, str) else payload
        part = data[self.start : self.stop]
        if len(part) < self.stop - self.start:
            return None
        return int.from_bytes(part, self.order)


def by_field(path: str) -> _Field:
    """The id is the field at ``path`` of a JSON text, a mapping or an object: ``header.id``."""
    return _Field(path, steps_of(path))


def by_regex(pattern: str) -> _Regex:
    """The id is what the first group of ``pattern`` finds in the text; all it finds without one."""
    return _Regex(re.compile(pattern))


def by_bytes(start: int, stop: int, order: Literal["big", "little"] = "big") -> _Bytes:
    """The id is the number in the bytes ``message[start:stop]``.

    Raises:
        ConfigurationError: there are no bytes between the two.
    """
    if not 0 <= start < stop:
        raise ConfigurationError(
            f"by_bytes({start!r}, {stop!r}) holds no byte; write by_bytes(0, 2)"
        )
    return _Bytes(start, stop, order)
