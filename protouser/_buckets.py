"""Locust's own percentiles below a millisecond.

Locust counts response times in whole milliseconds, so a call of 0.37 ms is one of 0. It lets the
rounding be replaced; here it is, by one with two significant digits below 100 ms, and Locust's own
above. Whoever has replaced it before keeps his own.
"""

from __future__ import annotations

from locust import stats

from typing import Final

__all__ = ["use_fine_buckets"]

_LOCUSTS: Final = stats.bucket_response_time


def use_fine_buckets() -> None:
    """Have Locust count with two significant digits, unless its rounding was replaced already."""
    if stats.bucket_response_time is _LOCUSTS and _LOCUSTS.__module__ == stats.__name__:
        stats.bucket_response_time = _two_digits  # type: ignore[assignment]


def _two_digits(milliseconds: float) -> float:
    if milliseconds < 1:
        if milliseconds < 0.1:
            return (milliseconds * 1000 + 0.5) // 1 / 1000
        return (milliseconds * 100 + 0.5) // 1 / 100
    if milliseconds < 10:
        return (milliseconds * 10 + 0.5) // 1 / 10
    return _LOCUSTS(milliseconds)
