"""JSON texts as data: a key that an object has twice is an error, since one value would be lost."""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["Fault", "parsed", "parsed_array"]

_BETWEEN: Final = re.compile(r"[\s,]*")


class Fault(Exception):
    """What is wrong with a text, and where in it, from 1; no line where that cannot be told."""

    def __init__(self, reason: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column


def parsed(text: str) -> Any:
    """The value that a text holds.

    Raises:
        Fault: it is no JSON, or not unambiguous.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Fault(error.msg, error.lineno, error.colno) from None
    except ValueError as error:  # a number of more digits than Python converts
        raise Fault(str(error)) from None
    except RecursionError:
        raise Fault("it is nested too deeply") from None


def parsed_array(text: str) -> Any:
    """As ``parsed``; what is wrong inside an array has the line in which that element begins."""
    try:
        return parsed(text)
    except Fault as fault:
        if fault.line is None:
            fault.line = _line_of_fault(text)
        raise


def _line_of_fault(text: str) -> int | None:
    place = text.find("[") + 1
    while place:
        begin = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]
        try:
            _, place = _DECODER.raw_decode(text, begin)
        except json.JSONDecodeError:
            return None
        except (Fault, ValueError, RecursionError):
            return text.count("\n", 0, begin) + 1
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Fault(f"an object has {twice!r} twice")
    return made


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object)
