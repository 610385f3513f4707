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
from protouser.feeders._progress import SLICE, Progress

__all__ = ["LONGEST_FIELD", "CsvPass"]

_AT_ONCE: Final = 100
_OTHERWISE: Final = (
    "if it is whole, give delimiter=, quotechar= or escapechar= as the file has them"
)

#: Characters of the longest field that is taken for one; beyond, somebody forgot a quote.
LONGEST_FIELD: Final = 10_000_000


class CsvPass:
    """The rows of a CSV file from its beginning, as lists of texts.

    Iteration reads some ahead; ``carefully`` does not, so that ``line`` is that of the row it gave.

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
        self._begun = begun

    def __iter__(self) -> Iterator[list[Any]]:
        if self._lines is not None:
            return self.carefully()
        return itertools.chain(self._begun, itertools.chain.from_iterable(self._batches()))

    def carefully(self) -> Iterator[list[Any]]:
        """The rows one by one, with their lines."""
        return itertools.chain(self._begun, self._read(len(self.names)))

    @property
    def line(self) -> int:
        """The line in which the row that was read last begins."""
        return self._finished + 1 if self._lines is None else self._lines.began

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

    def refuse(
        self, reason: str, line: int | None = None, column: str | int | None = None
    ) -> NoReturn:
        """Raise for a line or the whole file, or because it is not the same file any more."""
        self.verify()
        complain(self._file.name, reason, line=line, column=column)

    def _batches(self) -> Iterator[list[list[Any]]]:
        """Rows many at a time, which is quicker, but does not tell where in them a fault is."""
        reader, right = self._reader, {len(self.names)}
        while True:
            try:
                with self._file.reading():
                    batch = list(itertools.islice(reader, _AT_ONCE))
                whole = set(map(len, batch)) <= right
            except csv.Error as error:
                self._find_fault(str(error))
            if not batch:
                return
            yield batch if whole else self._fitted(batch)

    def _fitted(self, batch: list[list[Any]]) -> list[list[Any]]:
        form, width = self._form, len(self.names)
        rows = [values or [""] for values in batch if values or not form.skip_blank]
        fit = all(
            len(values) == width
            or (form.short == "none" if len(values) < width else form.long == "drop")
            for values in rows
        )
        if not fit:
            self._find_fault("a row has too few or too many values")
        return [self._fit(values) for values in rows]

    def _find_fault(self, reason: str) -> NoReturn:
        """Read the file from its beginning, this time carefully, to say where the fault is."""
        self.verify()
        again = CsvPass(self._file, self._form, self._known)
        progress = Progress(f"looking for what is wrong in {self._file.name}", self._file.size())
        try:
            for number, _ in enumerate(again.carefully(), 1):
                if number % SLICE == 0:
                    progress.at(again.position, number)
        finally:
            again.close()
        self.refuse(reason)

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
            reason = f"a quoted field goes on behind its closing quote ({reason}); {_OTHERWISE}"
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
