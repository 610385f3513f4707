"""Where rows are in a plain file: what an exact shuffle of a large file needs.

A row costs four bytes, its length; every 64th has its offset as well. Rows are read by position and
not through a memory map, since a mapped file that somebody truncates kills the process.
"""

from __future__ import annotations

import os
from array import array
from typing import IO, Any, Final

import gevent

__all__ = ["ONE_BYTE", "NotIndexable", "RowIndex", "ends_inside", "line_at", "reader_of"]

#: Encodings in which the byte of a line end is nothing else.
ONE_BYTE: Final = ("utf-8", "ascii", "iso8859", "cp125", "latin")

_STRIDE: Final = 64
_CHUNK: Final = 1 << 20


class NotIndexable(Exception):
    """The places of rows cannot be told from bytes; the rows have to be held."""


class RowIndex:
    """The offset and the length of every row.

    Attributes:
        gaps: True where something that is no row stands behind some row; it counts as a part of it.
    """

    def __init__(self) -> None:
        self._lengths = array("I")
        self._offsets = array("Q")
        self._last = self._end = 0
        self.gaps = False

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, offset: int, end: int) -> None:
        """A row was found behind all others."""
        lengths = self._lengths
        if lengths:
            lengths[-1] = offset - self._last
            self.gaps = self.gaps or offset != self._end
        if len(lengths) % _STRIDE == 0:
            self._offsets.append(offset)
        lengths.append(0)
        self._last, self._end = offset, end

    def finish(self) -> None:
        """There are no more rows."""
        if self._lengths:
            self._lengths[-1] = self._end - self._last

    def place(self, number: int) -> tuple[int, int]:
        """Offset and length of a row, in bytes."""
        block = number - number % _STRIDE
        offset = self._offsets[number // _STRIDE] + sum(self._lengths[block:number])
        return offset, self._lengths[number]


def line_at(read: Any, offset: int) -> int:
    """The number of the line that begins at an offset, read from the beginning; for errors."""
    lines = 1
    for begin in range(0, offset, _CHUNK):
        lines += read(begin, min(_CHUNK, offset - begin)).count(b"\n")
        gevent.sleep(0)
    return lines


def ends_inside(line: bytes) -> bool:
    """True where a carriage return ends a line of text inside what bytes take for one line."""
    return line.find(b"\r", 0, -2) >= 0 or (not line.endswith(b"\n") and line[-2:-1] == b"\r")


def reader_of(stream: IO[bytes]) -> Any:
    """A function of offset and length that reads there; ``stream`` stays open for it."""
    try:
        descriptor = stream.fileno()
    except OSError:
        held = memoryview(stream.read())
        return lambda offset, length: bytes(held[offset : offset + length])
    return lambda offset, length: os.pread(descriptor, length, offset)
