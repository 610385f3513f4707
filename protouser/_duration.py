"""A time as people read it."""

from __future__ import annotations

__all__ = ["duration"]


def duration(nanoseconds: float) -> str:
    """A time in the unit that keeps three digits: us, ms or s."""
    if nanoseconds < 999_500:
        return f"{nanoseconds / 1e3:.3g} us"
    if nanoseconds < 999_500_000:
        return f"{nanoseconds / 1e6:.3g} ms"
    return f"{nanoseconds / 1e9:.3g} s" if nanoseconds < 999.5e9 else f"{nanoseconds / 1e9:,.0f} s"
