"""A keyword that no call takes, told by the method that the tester has called.

The methods of clients hand on what they do not know (``**options``), so it is found by ``perform``,
which no tester has ever called.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FrameType

from protouser._errors import ConfigurationError
from protouser._near import did_you_mean

__all__ = ["refuse_keywords"]


def refuse_keywords(unknown: Iterable[str], known: Iterable[str], row: str) -> None:
    """Refuse keywords that reached the caller of this; ``known`` are those that all methods take.

    Raises:
        ConfigurationError: always; with the method that was called, or ``row`` where it is none.
    """
    frame = _method(sys._getframe(2))
    code, itself = frame.f_code, frame.f_locals.get("self")
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    name = row if itself is None else f"{type(itself).__name__}.{code.co_name}()"
    keyword = min(unknown)
    hint = did_you_mean(keyword, {*known, *names} - {"self"})
    raise ConfigurationError(f"{name} takes no keyword {keyword!r}{hint}")


def _method(frame: FrameType) -> FrameType:
    """The outermost of the methods of one object that have called each other down to here."""
    itself = frame.f_locals.get("self")
    while itself is not None and frame.f_back is not None:
        if frame.f_back.f_locals.get("self") is not itself:
            break
        frame = frame.f_back
    return frame
