"""A number as people read it."""

from __future__ import annotations

__all__ = ["quantity"]


def quantity(value: float) -> str:
    """A number with three digits and k, M, G or T."""
    for sign in ("", "k", "M", "G"):
        if abs(value) < 999.5:
            return f"{value:.3g}{sign}"
        value /= 1000
    return f"{value:.3g}T"
