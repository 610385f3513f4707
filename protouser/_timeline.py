"""What was measured when: a slice for every second of the test, in bounded memory.

Second 0 begins where the test does, by the master's clock, whatever the workers' clocks say. When
there are too many slices, or too many histograms in them, two neighbours become one: after ten
minutes a slice is two seconds wide, then four. What a slice keeps of a call is its outcome and its
two times, service and response; phases and trends are in the totals alone.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from protouser._figures import RESPONSE, SERVICE, Figures, Key
from protouser._histogram import Histogram

__all__ = ["Note", "Slice", "Timeline"]

_MOST_SLICES: Final = 600
_MOST_HISTOGRAMS: Final = 60_000
_MOST_NOTES: Final = 1000
_LONGEST_PACKED: Final = 1024


@dataclass(frozen=True, order=True)
class Note:
    """What was said about a moment: an annotation, or the beginning of a stage."""

    at: float
    kind: str
    text: str


class Slice:
    """A part of the test: counts, packed histograms, and gauges."""

    __slots__ = ("figures", "timed")

    def __init__(self) -> None:
        self.figures = Figures()
        self.timed: dict[Key, array[int]] = {}

    def add(self, figures: Figures) -> None:
        """Add what was measured in this part of the test."""
        self.figures.merge(figures.without_times())
        for key, histogram in figures.timed.items():
            if key[2] in (SERVICE, RESPONSE):
                self._add(key, histogram.pack())

    def merge(self, other: Slice) -> None:
        """Add a neighbour."""
        self.figures.merge(other.figures)
        for key, packed in other.timed.items():
            self._add(key, packed)

    def add_to(self, figures: Figures, wanted: Callable[[str, str], bool]) -> None:
        """Add the rows that are wanted, and all gauges, to figures."""
        for key, packed in self.timed.items():
            if wanted(key[0], key[1]):
                figures.histogram(key).add_packed(packed)
        rest = Figures()
        rest.gauges = self.figures.gauges
        for of, into in (
            (self.figures.counted, rest.counted),
            (self.figures.counters, rest.counters),
        ):
            into.update({key: value for key, value in of.items() if wanted(key[0], key[1])})
        figures.merge(rest)

    def _add(self, key: Key, packed: array[int]) -> None:
        there = self.timed.setdefault(key, array("Q"))
        there.extend(packed)  # a key may be there several times: adding them up can wait
        if len(there) > _LONGEST_PACKED and len(there) > 4 * len(packed):
            histogram = Histogram()
            histogram.add_packed(there)
            self.timed[key] = histogram.pack()


class Timeline:
    """The slices of a test, by the second in which they begin, and what was noted.

    Attributes:
        width: seconds in a slice, a power of two.
        notes: annotations and stages, not sorted.
    """

    def __init__(self) -> None:
        self.width = 1
        self.notes: list[Note] = []
        self._slices: dict[int, Slice] = {}
        self._histograms = 0

    def add(self, second: int, figures: Figures) -> None:
        """Add what was measured in one second of the test."""
        slice_ = self._slices.setdefault(max(second, 0) // self.width, Slice())
        before = len(slice_.timed)
        slice_.add(figures)
        self._histograms += len(slice_.timed) - before
        while len(self._slices) > _MOST_SLICES or (
            self._histograms > _MOST_HISTOGRAMS and len(self._slices) > 1
        ):
            self._halve()

    def note(self, note: Note) -> None:
        """Keep a note; only the first thousand."""
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(note)

    def slices(self) -> Iterator[tuple[int, Slice]]:
        """Every slice with the second in which it begins, in order."""
        for index in sorted(self._slices):
            yield index * self.width, self._slices[index]

    def between(
        self, begin: float, end: float, wanted: Callable[[str, str], bool] = lambda *_: True
    ) -> Figures:
        """What the slices whose middle is in this part of the test hold, of the rows wanted."""
        figures = Figures()
        first, last = (math.ceil(at / self.width - 0.5) for at in (begin, end))
        for index in range(first, last):
            if index in self._slices:
                self._slices[index].add_to(figures, wanted)
        return figures

    def _halve(self) -> None:
        self.width *= 2
        slices, self._slices = self._slices, {}
        for index, slice_ in slices.items():
            there = self._slices.setdefault(index // 2, slice_)
            if there is not slice_:
                there.merge(slice_)
        self._histograms = sum(len(slice_.timed) for slice_ in self._slices.values())
