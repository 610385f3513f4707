"""What was found about one threshold, for one row or for all it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from protouser._duration import duration
from protouser.thresholds._reading import Reading
from protouser.thresholds._threshold import RATE, SHARE, TIME, Threshold
from protouser.thresholds._units import scale_of

__all__ = ["Verdict"]


@dataclass(frozen=True)
class Verdict:
    """Passed or not, and why.

    Attributes:
        threshold: what was asked.
        row: which row, where each counts for itself.
        value: what was found; None where nothing was measured, which does not pass.
        passed: whether it holds.
        at: the second of the test at which a window was at its worst.
    """

    threshold: Threshold
    row: str
    value: float | None
    passed: bool
    at: int | None

    @classmethod
    def of(cls, threshold: Threshold, reading: Reading, at: int | None) -> Self:
        """Compare a reading."""
        passed = reading.value is not None and threshold.passes(reading.value)
        return cls(threshold, reading.row, reading.value, passed, at)

    def is_worse_than(self, other: Verdict) -> bool:
        """Whether this is further from passing."""
        assert self.value is not None
        assert other.value is not None
        return self.threshold.is_worse(self.value, other.value)

    @property
    def found(self) -> str:
        """The value, in the threshold's unit."""
        if self.value is None:
            return "nothing was measured"
        unit = self.threshold.unit
        if unit:
            scale = scale_of(unit, self.threshold.figure.subject) or 1.0
            return f"{_number(self.value / scale)}{unit}"
        return _shown(self.value, self.threshold.kind)

    def sentence(self) -> str:
        """What was asked and what was found."""
        row = f" ({self.row})" if self.row else ""
        return f"{self.threshold.text}{row}: {self.found}{self.when}"

    @property
    def when(self) -> str:
        """Where in the test, for a window."""
        return f" at {self.at} s" if self.at is not None else ""


def _shown(value: float, kind: str) -> str:
    if kind == TIME:
        return duration(value)
    if kind == SHARE:
        return f"{value * 100:.3g}%"
    if kind == RATE:
        return f"{value:,.4g}/s" if value < 10_000 else f"{value:,.0f}/s"
    return _number(value)


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
