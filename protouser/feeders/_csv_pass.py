"""One reading of a CSV file, which knows at every row in which line it is.

Nothing is repaired in silence. A row of another length than the header, an open quote, a byte of
another encoding are errors, since what would be made of them is a wrong value.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TextIO

from protouser.feeders._csv_format import CsvFormat
from protouser.feeders._data_file import DataFile, Fingerprint, complain

__all__ = ["LONGEST_FIELD", "CsvPass"]

#: Characters of the longest field that is taken for one; beyond, somebody forgot a quote.
LONGEST_FIELD: Final = 10_000_000


class CsvPass:
    """The rows of a CSV file from its beginning, as lists of texts.

    Attributes:
        names: the columns.
    """

    def __init__(self, file: DataFile, form: CsvFormat, known: Fingerprint | None) -> None:
        self._file = file
        self._form = form
        self._known = known
        self._finished = 0  # the line in which the last whole row ended
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
        self._text = file.open_text()
        self._lines: _Lines | None = None
        if form.comment is not None or form.skip_lines:
            self._lines = _Lines(self._text, form)
        self._reader = csv.reader(self._lines or self._text, **form.reading)
        try:
            with self._faults():
                self.names, begun = self._head()
        except BaseException:
            self.close()
            raise
        self._rows = itertools.chain(begun, self._read(len(self.names)))

    def __iter__(self) -> Iterator[list[Any]]:
        return self._rows

    @property
    def line(self) -> int:
        """The line in which the row that was read last begins."""
        return self._finished + 1 if self._lines is None else self._lines.began

    def verify(self) -> None:
        """Make sure that the file has not changed since it was prepared."""
        self._file.verify(self._text, self._known)

    def close(self) -> None:
        """Close the file."""
        self._text.close()

    def refuse(
        self, reason: str, line: int | None = None, column: str | int | None = None
    ) -> NoReturn:
        """Raise for a line or the whole file, or because it is not the same file any more."""
        self.verify()
        complain(self._file.name, reason, line=line, column=column)

    def _read(self, width: int) -> Iterator[list[Any]]:
        reader, lines = self._reader, self._lines
        with self._faults():
            for values in reader:
                if lines is not None:
                    lines.fresh = True
                if len(values) == width:
                    yield values
                elif values or not self._form.skip_blank:
                    yield self._fit(values or [""])
                self._finished = reader.line_num

    def _head(self) -> tuple[tuple[str, ...], list[list[Any]]]:
        """The names of the columns, and the first row if it had to be read to know them."""
        form = self._form
        if form.fields is not None and not form.header:
            return self._distinct(form.fields), []
        first = next(self._filled(), None)
        if first is None:
            self.refuse("the file is empty")
        if form.header:
            names = self._distinct(form.fields or tuple(name.strip() for name in first))
            self._finished = self._reader.line_num
            return names, []
        return tuple(f"column{place}" for place in range(1, len(first) + 1)), [first]

    def _filled(self) -> Iterator[list[str]]:
        for values in self._reader:
            if self._lines is not None:
                self._lines.fresh = True
            if values:
                yield values
            self._finished = self._reader.line_num

    def _distinct(self, names: tuple[str, ...]) -> tuple[str, ...]:
        for place, name in enumerate(names, 1):
            if not name:
                self.refuse("the header has no name here; give fields=[...]", self.line, place)
            if name in names[: place - 1]:
                self.refuse(
                    f"the header has {name!r} a second time; give fields=[...]", self.line, place
                )
        return names

    def _fit(self, values: list[Any]) -> list[Any]:
        """A row of another length than the header: an error, unless another wish was stated."""
        names, length = self.names, len(values)
        if length == len(names):
            return values
        if length < len(names):
            if self._form.short == "none":
                return [*values, *[None] * (len(names) - length)]
            self.refuse(
                f"the row has {length} of {len(names)} values", self.line, column=names[length]
            )
        if self._form.long == "drop":
            return values[: len(names)]
        text = f"the row has {length} values, the header {len(names)} columns"
        self.refuse(text, self.line, column=len(names) + 1)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        with self._file.reading():
            try:
                yield
            except csv.Error as error:
                self._refuse_broken(str(error))

    def _refuse_broken(self, reason: str) -> NoReturn:
        if "unexpected end of data" in reason:
            reason = "the row has a quote that is opened and never closed"
        elif "field limit" in reason:
            reason = f"a field is longer than {LONGEST_FIELD:,} characters; is a quote left open?"
        elif "expected after" in reason:
            reason = f"a quoted field goes on behind its closing quote ({reason})"
        self.refuse(reason, self.line)


class _Lines:
    """The lines of a file without those to be skipped, and without comments between rows.

    Attributes:
        fresh: the next line begins a row.
        began: the line in which the last row began.
    """

    def __init__(self, text: TextIO, form: CsvFormat) -> None:
        self.fresh = True
        self.began = 0
        self._wanted = self._read(text, form.comment, form.skip_lines)

    def __iter__(self) -> Iterator[str]:
        return self._wanted

    def _read(self, text: Iterable[str], comment: str | None, skipped: int) -> Iterator[str]:
        for number, line in enumerate(text, 1):
            if number <= skipped:
                continue
            if self.fresh:
                if comment is not None and line.startswith(comment):
                    continue
                self.began, self.fresh = number, False
            yield line
