"""JSON lines: a value in each line, read one after the other or where they stand."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from protouser.feeders._data_file import DataFile, Fingerprint, complain
from protouser.feeders._json_text import Fault, parsed
from protouser.feeders._progress import SLICE, Progress
from protouser.feeders._row_index import (
    ONE_BYTE,
    NotIndexable,
    RowIndex,
    ends_inside,
    line_at,
    reader_of,
)

__all__ = ["IndexedLines", "LineIndex", "LinesPass", "Make"]

#: Makes the values of a row of a place, for messages, and a value.
Make = Callable[[str, Any], Any]


class LinesPass:
    """One reading of the file, from its beginning."""

    def __init__(self, file: DataFile, known: Fingerprint | None, make: Make) -> None:
        self._file = file
        self._known = known
        self._make = make
        self._text = file.open_text()
        self._rows = self._read()

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    @property
    def position(self) -> int:
        """How much of the file has been read, in bytes on disk."""
        return self._file.position(self._text)

    def verify(self) -> None:
        """Make sure that the file has not changed since it was prepared."""
        self._file.verify(self._text, self._known)

    def close(self) -> None:
        """Close the file."""
        self._text.close()

    def _read(self) -> Iterator[Any]:
        name = self._file.name
        with self._file.reading():
            for number, line in enumerate(self._text, 1):
                if line.isspace():
                    continue
                try:
                    value = parsed(line.rstrip("\r\n"))
                except Fault as fault:
                    self.verify()
                    complain(name, fault.reason, line=number, column=fault.column)
                yield self._make(f"{name}, line {number:,}", value)


class LineIndex(RowIndex):
    """Every line that is not blank.

    Attributes:
        encoding: of the file.
    """

    def __init__(self, file: DataFile) -> None:
        super().__init__()
        self.encoding = ""
        if not file.plain:
            raise NotIndexable
        with file.open_binary() as binary, file.reading():
            self._read(file, binary)

    def _read(self, file: DataFile, binary: IO[bytes]) -> None:
        encoding = file.encoding_of(binary)
        if not encoding.startswith(ONE_BYTE):
            raise NotIndexable
        self.encoding = encoding.removesuffix("-sig")
        offset = len(codecs.BOM_UTF8) if encoding == "utf-8-sig" else 0
        binary.seek(offset)
        progress = Progress(f"indexing {file.name}", file.size())
        for number, line in enumerate(binary, 1):
            end = offset + len(line)
            if b"\r" in line and ends_inside(line):
                raise NotIndexable
            if not line.isspace():
                self.add(offset, end)
            offset = end
            if number % SLICE == 0:
                progress.at(end, number)
        self.finish()
        progress.end(len(self))


class IndexedLines:
    """The rows of a file by number, read where they stand."""

    def __init__(
        self, file: DataFile, known: Fingerprint | None, index: LineIndex, make: Make
    ) -> None:
        self._file = file
        self._known = known
        self._index = index
        self._make = make
        self._stream: IO[bytes] = file.open_binary()
        self._read = reader_of(self._stream)

    def __len__(self) -> int:
        return len(self._index)

    def rows(self, numbers: Sequence[int]) -> list[Any]:
        """The rows of these numbers."""
        return [self._row(number) for number in numbers]

    def verify(self) -> None:
        """Make sure that the file has not changed since it was prepared."""
        self._file.verify(self._stream, self._known)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _row(self, number: int) -> Any:
        offset, length = self._index.place(number)
        with self._file.reading():
            text = self._read(offset, length).decode(self._index.encoding)
        try:
            value = parsed(text)
        except Fault as fault:
            self.verify()
            line = line_at(self._read, offset)
            complain(self._file.name, fault.reason, line=line, column=fault.column)
        return self._make(f"{self._file.name}, row {number + 1:,}", value)
