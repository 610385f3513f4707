"""A chart as SVG: lines over time or another axis, marks, and a text for each place on the axis.

What it looks like is said by attributes and not by a style sheet, and nothing moves by a script:
many who keep results of builds serve pages with both switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from protouser.page._scale import Scale

__all__ = ["BLUE", "GREEN", "ORANGE", "PALETTE", "RED", "SKY", "Chart", "Line", "Mark"]

# The colours of Okabe and Ito, which people tell apart who do not see all of them.
GREEN: Final = "#009e73"
RED: Final = "#d55e00"
BLUE: Final = "#0072b2"
ORANGE: Final = "#e69f00"
SKY: Final = "#56b4e9"
PALETTE: Final = (BLUE, ORANGE, GREEN, RED, SKY, "#cc79a7", "#8c6d31", "#666666")
_FAINT: Final = "#888888"

_WIDTH: Final = 560
_HEIGHT: Final = 200
_LEFT: Final = 62
_RIGHT: Final = 12
_TOP: Final = 22
_BOTTOM: Final = 24
_INNER: Final = _WIDTH - _LEFT - _RIGHT
_BASE: Final = _HEIGHT - _BOTTOM


@dataclass(frozen=True)
class Line:
    """One line, with a value or None (a gap) for each place on the horizontal axis."""

    label: str
    colour: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Mark:
    """Something at a place on the horizontal axis (0 to 1); one that is ``faint`` begins a part."""

    place: float
    text: str
    faint: bool = False


@dataclass(frozen=True)
class Chart:
    """Everything that is drawn.

    Attributes:
        title: stands above it.
        places: of the values on the horizontal axis, from 0 to 1, in rising order.
        words: what each place is called.
        scale: the vertical axis.
        unit: how a value is written.
        lines: what is drawn, the last one uppermost.
        marks: moments that stand out.
        axis: (place, text) of the marks below the horizontal axis.
        spots: how much of what should not be there is at each place, drawn as a red spot.
    """

    title: str
    places: Sequence[float]
    words: Sequence[str]
    scale: Scale
    unit: Callable[[float], str]
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()
    axis: Sequence[tuple[float, str]] = ()
    spots: Sequence[int] = ()

    def svg(self) -> str:
        """The chart with its title and key, as a figure of HTML."""
        key = "".join(
            f'<span><i style="background:{line.colour}"></i>{escape(line.label)}</span>'
            for line in self.lines
        )
        if any(self.spots):
            key += f'<span><i style="background:{RED};border-radius:50%"></i>failed</span>'
        drawn = "".join((*self._grid(), *self._marks(), *self._lines(), *self._spots()))
        return (
            f"<figure><figcaption><b>{escape(self.title)}</b> {key}</figcaption>"
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(self.title)}"'
            f' font-size="11" fill="currentColor">{drawn}{"".join(self._slots())}</svg></figure>\n'
        )

    def _grid(self) -> Iterator[str]:
        for tick in self.scale.ticks:
            y = self._y(tick)
            yield (
                f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="{_FAINT}"'
                f' stroke-opacity=".3"/>{_text(_LEFT - 6, y + 4, self.unit(tick), "end")}'
            )
        for place, words in self.axis:
            yield _text(_x(place), _HEIGHT - 7, words, "middle")

    def _marks(self) -> Iterator[str]:
        for mark in self.marks:
            x, colour = _x(mark.place), _FAINT if mark.faint else RED
            anchor, beside = ("end", -3) if mark.place > 0.7 else ("start", 3)
            row = 0 if mark.faint else 12
            yield (
                f'<line x1="{x}" x2="{x}" y1="{_TOP - 12}" y2="{_BASE}" stroke="{colour}"'
                f' stroke-dasharray="4 3"/>{_text(x + beside, _TOP - 4 + row, mark.text, anchor)}'
            )

    def _lines(self) -> Iterator[str]:
        for line in self.lines:
            for points in self._unbroken(line.values):
                if len(points) == 1:
                    x, y = points[0]
                    yield f'<circle cx="{x}" cy="{y}" r="2" fill="{line.colour}"/>'
                else:
                    path = " ".join(f"{x},{y}" for x, y in points)
                    yield (
                        f'<polyline points="{path}" fill="none" stroke="{line.colour}"'
                        ' stroke-width="1.6" stroke-linejoin="round"/>'
                    )

    def _unbroken(self, values: Sequence[float | None]) -> Iterator[list[tuple[float, float]]]:
        points: list[tuple[float, float]] = []
        for place, value in zip(self.places, values, strict=True):
            if value is not None:
                points.append((_x(place), self._y(value)))
            elif points:
                yield points
                points = []
        if points:
            yield points

    def _spots(self) -> Iterator[str]:
        for place, count in zip(self.places, self.spots, strict=False):
            if count:
                yield f'<circle cx="{_x(place)}" cy="{_BASE}" r="2.5" fill="{RED}"/>'

    def _slots(self) -> Iterator[str]:
        """A stripe over each place, unseen, that tells the values there."""
        edges = [0.0, *((a + b) / 2 for a, b in zip(self.places, self.places[1:], strict=False))]
        for number, (left, right) in enumerate(zip(edges, [*edges[1:], 1.0], strict=True)):
            yield (
                f'<rect x="{_x(left)}" y="0" width="{round(_INNER * (right - left), 2)}"'
                f' height="{_BASE}" fill-opacity="0"><title>{escape(self._told(number))}</title>'
                "</rect>"
            )

    def _told(self, number: int) -> str:
        told = [
            f"{line.label} {self.unit(value)}"
            for line in self.lines
            if (value := line.values[number]) is not None
        ]
        if self.spots and self.spots[number]:
            told.append(f"{self.spots[number]:,} failed")
        return "\n".join([self.words[number], *told])

    def _y(self, value: float) -> float:
        return round(_BASE - (_BASE - _TOP) * self.scale.place(value), 2)


def _x(place: float) -> float:
    return round(_LEFT + _INNER * place, 2)


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
