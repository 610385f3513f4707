"""A log-linear histogram of integer nanoseconds that can be merged.

A value keeps its eight leading bits: the key is the number of bits cut off, shifted left by
eight, plus what is left. A bucket is therefore at most 1/128 wide and its middle at most 0.4 %
from any value in it, from one microsecond to hours, while merging stays an addition of counts.
Minimum, maximum, sum and count are exact; the sum soon needs more than the 64 bits that a codec
carries, so they travel as hexadecimal text. The layout is that of HdrHistogram with one octave
per power of two (G. Tene, hdrhistogram.org); memory is bounded by 128 keys per octave.

Recording happens once per call of a load test, so it only appends; a thousand values at a time
are sorted into buckets, in one loop, and whoever reads has the rest sorted in first.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final, Self

__all__ = ["LARGEST", "MOST_FRESH", "Histogram"]

#: Larger values count as this one.
LARGEST: Final = 1 << 124
#: So many values may wait to be sorted in.
MOST_FRESH: Final = 1000

_BITS: Final = 8
_MASK: Final = (1 << _BITS) - 1
_NOTHING_YET: Final = LARGEST + 1


class Histogram:
    """Counts of durations in nanoseconds, right to 0.4 %.

    Attributes:
        fresh: values that were recorded and not sorted in yet. Whoever appends to it, to save the
            call of ``record``, sorts in as ``record`` does.
    """

    __slots__ = ("_buckets", "_maximum", "_minimum", "_total", "fresh")

    def __init__(self) -> None:
        self.fresh: list[float] = []
        self._buckets: dict[int, int] = {}
        self._total = 0
        self._minimum = _NOTHING_YET
        self._maximum = 0

    def record(self, value: float) -> None:
        """Count one value, cut to an integer; anything below zero counts as zero."""
        fresh = self.fresh
        fresh.append(value)
        if len(fresh) >= MOST_FRESH:
            self.sort_in()

    def merge(self, other: Histogram) -> None:
        """Add the counts of ``other``; the order of merging does not matter."""
        self.sort_in()
        other.sort_in()
        self._minimum = min(self._minimum, other._minimum)
        self._maximum = max(self._maximum, other._maximum)
        self._total += other._total
        buckets = self._buckets
        get = buckets.get
        for key, count in other._buckets.items():
            buckets[key] = get(key, 0) + count

    @property
    def buckets(self) -> dict[int, int]:
        """Counts by key."""
        return self.sort_in()._buckets

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self.buckets.values())

    @property
    def minimum(self) -> int:
        """The smallest value, exactly; 0 when empty."""
        return self.sort_in()._minimum if self.buckets else 0

    @property
    def maximum(self) -> int:
        """The largest value, exactly; 0 when empty."""
        return self.sort_in()._maximum

    @property
    def mean(self) -> float:
        """The exact mean; 0.0 when empty."""
        return self.sort_in()._total / max(self.count, 1)

    def percentile(self, share: float) -> int:
        """The smallest value that at least ``share`` (0 to 1) of all values do not exceed."""
        buckets, count = self.buckets, self.count
        wanted = max(1, -(-count * share // 1))
        if wanted >= count:
            return self._maximum
        seen = 0
        for key in sorted(buckets):
            seen += buckets[key]
            if seen >= wanted:
                return min(max(_middle(key), self._minimum), self._maximum)
        return self._maximum

    def values(self) -> Iterator[tuple[int, int]]:
        """The middle of every bucket, within minimum and maximum, and how many values are in it."""
        for key, count in self.buckets.items():
            yield min(max(_middle(key), self._minimum), self._maximum), count

    def to_wire(self) -> list[Any]:
        """A flat list that any codec carries: three exact figures as text, then small integers."""
        buckets = self.buckets
        flat: list[Any] = [f"{exact:x}" for exact in (self._total, self._minimum, self._maximum)]
        for pair in buckets.items():
            flat.extend(pair)
        return flat

    @classmethod
    def from_wire(cls, flat: Sequence[Any]) -> Self:
        """The histogram that ``to_wire`` wrote."""
        histogram = cls()
        exact = (int(text, 16) for text in flat[:3])
        histogram._total, histogram._minimum, histogram._maximum = exact
        histogram._buckets.update(zip(flat[3::2], flat[4::2], strict=True))
        return histogram

    def sort_in(self) -> Self:
        """Count what was recorded and not counted yet."""
        if not self.fresh:
            return self
        fresh, self.fresh = self.fresh, []
        values = list(map(int, fresh))
        lowest, highest = min(values), max(values)
        if lowest < 0 or highest > LARGEST:
            values = [min(max(value, 0), LARGEST) for value in values]
            lowest, highest = min(values), max(values)
        self._total += sum(values)
        self._minimum = min(self._minimum, lowest)
        self._maximum = max(self._maximum, highest)
        buckets = self._buckets
        get = buckets.get
        for value in values:
            if value > _MASK:
                shift = value.bit_length() - _BITS
                value = (shift << _BITS) + (value >> shift)
            buckets[value] = get(value, 0) + 1
        return self

    def pack(self) -> array[int]:
        """The counts alone, in little memory: a key, its count, the next key, and so on."""
        return array("Q", chain.from_iterable(self.buckets.items()))

    def add_packed(self, packed: array[int]) -> None:
        """Add counts that ``pack`` wrote; sum, minimum and maximum are then right to 0.4 %."""
        self.sort_in()
        buckets = self._buckets
        for key, count in zip(packed[::2], packed[1::2], strict=True):
            buckets[key] = buckets.get(key, 0) + count
            middle = _middle(key)
            self._total += middle * count
            self._minimum = min(self._minimum, middle)
            self._maximum = max(self._maximum, middle)


def _middle(key: int) -> int:
    shift = key >> _BITS
    if not shift:
        return key
    return ((key & _MASK) << shift) + (1 << shift >> 1)
