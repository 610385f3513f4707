"""Separated values as a source of rows.

A small file is read once before the load starts, so that whatever is wrong with it comes up there;
of another the first row is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from protouser.feeders._csv_format import CsvFormat
from protouser.feeders._csv_index import CsvIndex, IndexedRows
from protouser.feeders._csv_pass import CsvPass
from protouser.feeders._data_file import DataFile
from protouser.feeders._progress import SLICE, Progress
from protouser.feeders._row_index import NotIndexable
from protouser.feeders._source import HeldRows, Table
from protouser.feeders._types import Types

__all__ = ["CsvSource"]


class CsvSource:
    """A CSV file as a source of rows."""

    again = True

    def __init__(
        self, file: DataFile, form: CsvFormat, *, types: Types, required: Iterable[str]
    ) -> None:
        self.file = file
        self.form = form
        self.name = file.name
        self.names: tuple[str, ...] | None = None
        self.count: int | None = None
        self._types = types
        self._required = tuple(required)
        self._known: Any = ()
        self._table: HeldRows | CsvIndex | None = None

    @property
    def version(self) -> object:
        """What was prepared; content that is held never changes."""
        return self._known or ()

    def prepare(self) -> None:
        """Read the header, and all rows where the file is small."""
        fingerprint = self.file.fingerprint()
        if self.names is not None and fingerprint == self._known:
            return
        self._known, self._table, self.count = fingerprint, None, None
        reading = self.open()
        try:
            self._check_names(reading)
            small = self.file.small
            rows = self._check_rows(reading, small)
            if not rows:
                reading.refuse("the file has a header and no rows behind it")
            self.count = rows if small else None
        finally:
            reading.close()
        self.names = reading.names

    def open(self) -> CsvPass:
        """Begin to read."""
        return CsvPass(self.file, self.form, self._known)

    def table(self) -> Table:
        """All rows by number: an index of a plain file, and else the rows themselves."""
        self.prepare()
        if self._table is None:
            try:
                self._table = CsvIndex(self.file, self.form)
            except NotIndexable:
                self._table = HeldRows(self._held())
            self.count = len(self._table)
        if isinstance(self._table, HeldRows):
            return self._table
        return IndexedRows(self.file, self.form, self._known, self._table, self.names or ())

    def _check_names(self, reading: CsvPass) -> None:
        self._types.check_names(self.name, reading.names)
        for name in self._required:
            if name not in reading.names:
                there = ", ".join(reading.names)
                reading.refuse(f"the column {name!r} is missing; there are {there}")

    def _check_rows(self, reading: CsvPass, whole: bool) -> int:
        """Read all rows, or the first one, and say how many there were."""
        rows = 0
        progress = Progress(f"checking {self.name}", self.file.size())
        for rows, values in enumerate(reading.carefully(), 1):
            if self._types:
                place = f"{self.name}, line {reading.line:,}"
                self._types.apply(place, rows, reading.names, values)
            if not whole:
                return rows
            if rows % SLICE == 0:
                progress.at(reading.position, rows)
        progress.end(rows)
        reading.verify()
        return rows

    def _held(self) -> list[Any]:
        reading = self.open()
        progress = Progress(f"reading {self.name}", self.file.size())
        rows: list[Any] = []
        try:
            for values in reading:
                rows.append(values)
                if len(rows) % SLICE == 0:
                    progress.at(reading.position, len(rows))
            reading.verify()
        finally:
            reading.close()
        progress.end(len(rows))
        return rows
