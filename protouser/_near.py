"""Which name was meant by one that is nearly right."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean", "nearest"]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The one of ``known`` that is most like ``name``; None where none is alike enough."""
    near = get_close_matches(name, list(known), 1, cutoff)
    return near[0] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the one that may be meant, or all there are."""
    names = sorted(known)
    near = nearest(name, names)
    return f"; it has {', '.join(names)}" if near is None else f"; did you mean {near!r}?"
