"""Where each row of a CSV file is: what an exact shuffle of a large file needs.

Lines are only counted and searched for quotes, not parsed, so ten million take seconds. What
this takes for one row is parsed when it is read, and must be one then: where quotes stand inside
unquoted fields it can be wrong, which is an error and never a wrong value.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from typing import IO, Any, NoReturn

from protouser._errors import ConfigurationError
from protouser.feeders._csv_format import CsvFormat
from protouser.feeders._csv_pass import LONGEST_FIELD
from protouser.feeders._data_file import DataFile, Fingerprint, complain
from protouser.feeders._progress import SLICE, Progress
from protouser.feeders._row_index import (
    ONE_BYTE,
    NotIndexable,
    RowIndex,
    ends_inside,
    line_at,
    reader_of,
)

__all__ = ["CsvIndex", "IndexedRows"]


_BLANK = (b"\n", b"\r\n")


class CsvIndex(RowIndex):
    """The rows of a CSV file, blank lines and comments left out.

    Attributes:
        encoding: of the file.
    """

    def __init__(self, file: DataFile, form: CsvFormat) -> None:
        super().__init__()
        self.encoding = ""
        if not file.plain or form.escapechar is not None or not form.skip_blank:
            raise NotIndexable
        with file.open_binary() as binary, file.reading():
            self._read(file, form, binary)

    def _read(self, file: DataFile, form: CsvFormat, binary: IO[bytes]) -> None:
        encoding = file.encoding_of(binary)
        if not encoding.startswith(ONE_BYTE):
            raise NotIndexable
        if encoding == "utf-8-sig":
            binary.seek(len(codecs.BOM_UTF8))
        self.encoding = encoding.removesuffix("-sig")
        progress = Progress(f"indexing {file.name}", file.size())
        begin = binary.tell()
        records = _Records(file.name, form, self.encoding).of(binary, begin)
        for begin, end in records:
            self.add(begin, end)
            if len(self) % SLICE == 0:
                progress.at(end, len(self))
        self.finish()
        progress.end(len(self))


class _Records:
    """Finds where rows begin and end."""

    def __init__(self, name: str, form: CsvFormat, encoding: str) -> None:
        self._name = name
        self._form = form
        self._encoding = encoding
        self._quote = (form.quotechar or "").encode(encoding)
        self._comment = None if form.comment is None else form.comment.encode(encoding)
        self._skip = form.skip_lines
        self._headers = 1 if form.header else 0

    def of(self, binary: IO[bytes], offset: int) -> Iterator[tuple[int, int]]:
        """Begin and end of each row, without the header."""
        quote, comment, skip = self._quote, self._comment, self._skip
        lines = iter(binary)
        for line in lines:
            begin = offset
            offset += len(line)
            if b"\r" in line and ends_inside(line):
                raise NotIndexable
            if skip:
                skip -= 1
                continue
            if line in _BLANK or (comment is not None and line.startswith(comment)):
                continue
            if quote and quote in line:
                offset += self._rest(line, lines)
            if self._headers:
                self._headers = 0
                continue
            yield begin, offset

    def _rest(self, line: bytes, lines: Iterator[bytes]) -> int:
        """How long the row is behind its first line: a quoted field may hold line ends."""
        held = [line]
        quotes = line.count(self._quote)
        length = len(line)
        while quotes % 2 and not self._is_whole(
            b"".join(held), quotes == held[-1].count(self._quote)
        ):
            line = next(lines, b"")
            if ends_inside(line):
                raise NotIndexable
            if not line or length > LONGEST_FIELD:
                complain(self._name, "a quote is opened and never closed")
            held.append(line)
            length += len(line)
            quotes += line.count(self._quote)
        return length - len(held[0])

    def _is_whole(self, record: bytes, may_be: bool) -> bool:
        """Whether a row with an odd number of quotes ends here: one may stand for itself."""
        if not may_be:
            return False
        try:
            list(csv.reader([record.decode(self._encoding)], **self._form.reading))
        except (csv.Error, UnicodeDecodeError):
            return False
        return True


class IndexedRows:
    """The rows of a file by number, read where they stand."""

    def __init__(
        self,
        file: DataFile,
        form: CsvFormat,
        known: Fingerprint | None,
        index: CsvIndex,
        names: tuple[str, ...],
    ) -> None:
        self._file = file
        self._form = form
        self._known = known
        self._index = index
        self._names = names
        self._stream: IO[bytes] = file.open_binary()
        self._read = reader_of(self._stream)

    def __len__(self) -> int:
        return len(self._index)

    def rows(self, numbers: Sequence[int]) -> list[Any]:
        """The rows of these numbers; a number beyond the whole file is an error."""
        texts = [self._text(number) for number in numbers]
        rows = None if self._index.gaps else self._parsed(texts)
        if rows is not None and len(rows) == len(texts):
            width = len(self._names)
            if all(len(row) == width for row in rows):
                return rows
        return [self._one(number, text) for number, text in zip(numbers, texts, strict=True)]

    def verify(self) -> None:
        """Make sure that the file has not changed since it was prepared."""
        self._file.verify(self._stream, self._known)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _text(self, number: int) -> str:
        with self._file.reading():
            data: bytes = self._read(*self._index.place(number))
            text = data.decode(self._index.encoding)
        if "\0" in text:
            self._refuse(number, "holds a NUL character; give the encoding of the file")
        return text

    def _parsed(self, texts: list[str]) -> list[list[str]] | None:
        try:
            return list(csv.reader(texts, **self._form.reading))
        except csv.Error:
            return None

    def _one(self, number: int, text: str) -> list[Any]:
        """A row read by itself, with whatever stands behind it that is no row."""
        try:
            found = list(csv.reader(io.StringIO(text, newline=""), **self._form.reading))
        except csv.Error as error:
            self._refuse(number, str(error))
        rows = [row for row in found if row]
        if self._form.comment is not None:
            rows = [
                *rows[:1],
                *(row for row in rows[1:] if not row[0].startswith(self._form.comment)),
            ]
        if len(rows) != 1:
            self._refuse(
                number,
                f"a quote inside an unquoted field hides where the row ends ({len(rows)} rows);"
                " quote such fields, or use order='queue'",
            )
        return self._fit(number, rows[0])

    def _fit(self, number: int, values: list[Any]) -> list[Any]:
        missing = len(self._names) - len(values)
        if missing > 0 and self._form.short == "none":
            return [*values, *[None] * missing]
        if missing < 0 and self._form.long == "drop":
            return values[:missing]
        if missing:
            self._refuse(number, f"the row has {len(values)} values, the header {len(self._names)}")
        return values

    def _refuse(self, number: int, reason: str) -> NoReturn:
        self.verify()
        line = line_at(self._read, self._index.place(number)[0])
        raise ConfigurationError(f"{self._file.name}, line {line:,}, row {number + 1:,}: {reason}")
