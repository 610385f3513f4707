"""Names that are not there, and what may have been meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["suggest"]

SHOWN = 10


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a message: the nearest of the known names or, if none is near, some of them."""
    there = list(known)
    last = name.rpartition(".")[2].lower()
    near = [one for one in there if one.rpartition(".")[2].lower() == last]
    near = (near or get_close_matches(name, there))[:3]
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    return f"; it has {', '.join(there[:SHOWN])}{more}" if there else "; it has none"
