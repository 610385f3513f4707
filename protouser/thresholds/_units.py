"""Units of servers' figures: exporters of Prometheus count in seconds, bytes and shares of 1."""

from __future__ import annotations

from typing import Final

__all__ = ["UNITS", "scale_of"]

_TIMES: Final = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES: Final = {"B": 1.0} | {
    f"{sign}{suffix}": base**power
    for suffix, base in (("B", 1000.0), ("iB", 1024.0))
    for power, sign in enumerate("KMGT", start=1)
}
_BYTES["kB"] = 1000.0
_NUMBERS: Final = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
UNITS: Final = ("%", *_TIMES, "B", "kB", "MB", "GB", "KiB", "MiB", "GiB", *_NUMBERS)


def scale_of(unit: str, series: str) -> float | None:
    """What a number in this unit is multiplied by; None for a unit that cannot be the series' own.

    Behind a rate the unit may have ``/s`` as well. A share is in hundredths, unless the name says
    that the series is in percent already.
    """
    if series.endswith("/s"):
        unit = unit.removesuffix("/s")
    if unit == "%":
        return 1.0 if "percent" in series else 0.01
    if unit in _TIMES:
        return None if "bytes" in series else _TIMES[unit]
    if unit in _BYTES:
        return None if "seconds" in series else _BYTES[unit]
    return _NUMBERS.get(unit)
