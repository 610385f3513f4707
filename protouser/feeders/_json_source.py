"""JSON as a source of rows: an array, which is held in memory, or one value in each line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from protouser._errors import ConfigurationError
from protouser.feeders._data_file import DataFile, complain
from protouser.feeders._json_lines import IndexedLines, LineIndex, LinesPass
from protouser.feeders._json_text import Fault, parsed_array
from protouser.feeders._progress import SLICE, Progress
from protouser.feeders._row_index import NotIndexable
from protouser.feeders._source import HeldRows, Pass, Table
from protouser.feeders._types import Types
from protouser.feeders._values import Values

__all__ = ["JsonSource"]

_LINES: Final = (".jsonl", ".ndjson")


class JsonSource:
    """A JSON file as a source of rows; each is an object, an array, or a single value."""

    again = True

    def __init__(self, file: DataFile, lines: bool | None, values: Values, types: Types) -> None:
        self.file = file
        self.name = file.name
        self.names: tuple[str, ...] | None = None
        self.count: int | None = None
        self._lines = file.suffix in _LINES if lines is None else lines
        self._values = values
        self._types = types
        self._prepared = False
        self._known: Any = ()
        self._held: HeldRows | None = None
        self._index: LineIndex | None = None

    @property
    def version(self) -> object:
        """Rows may hold objects, which a tester may change, so that they are not kept for later."""
        return None

    def prepare(self) -> None:
        """Read an array whole, and keep it; lines as those of other files (see ``DataFile``)."""
        fingerprint = self.file.fingerprint()
        if self._prepared and fingerprint == self._known:
            return
        self._known, self._held, self._index, self.count = fingerprint, None, None, None
        if self._lines:
            self._check_lines()
        else:
            self._held = HeldRows(self._array())
            self.count = len(self._held)
        self._prepared = True

    def open(self) -> Pass:
        """Begin to read."""
        return self._held or self._pass()

    def table(self) -> Table:
        """All rows by number: an index of the lines of a plain file, and else the rows."""
        self.prepare()
        if self._held is None and self._index is None:
            try:
                self._index = LineIndex(self.file)
                self.count = len(self._index)
            except NotIndexable:
                self._held = HeldRows(self._all_lines())
                self.count = len(self._held)
        if self._index is None:
            assert self._held is not None
            return self._held
        return IndexedLines(self.file, self._known, self._index, self._values.of)

    def _pass(self) -> LinesPass:
        return LinesPass(self.file, self._known, self._values.of)

    def _check_lines(self) -> None:
        reading = self._pass()
        try:
            progress = Progress(f"checking {self.name}", self.file.size())
            rows = self._slowly(reading, progress, lambda: reading.position)
            if self.file.small:
                self.count = sum(1 for _ in rows)
            else:
                next(rows)
            reading.verify()
        finally:
            reading.close()

    def _all_lines(self) -> list[Any]:
        reading = self._pass()
        try:
            progress = Progress(f"reading {self.name}", self.file.size())
            rows = list(self._slowly(reading, progress, lambda: reading.position))
            reading.verify()
        finally:
            reading.close()
        return rows

    def _slowly(
        self, rows: Iterable[Any], progress: Progress, position: Callable[[], int] | None
    ) -> Iterator[Any]:
        """Check rows, and let others run meanwhile."""
        number = 0
        for number, row in enumerate(rows, 1):
            if number == 1:
                self.names = self._values.names
            if self._types:
                self._values.check_types(self._types, self.name, number, row)
            if number % SLICE == 0:
                progress.at(number if position is None else position(), number)
            yield row
        if not number:
            complain(self.name, "the file holds no rows")
        progress.end(number)

    def _array(self) -> list[Any]:
        with self.file.open_text() as text, self.file.reading():
            content = text.read()
        if not content.strip():
            complain(self.name, "the file is empty")
        try:
            found = parsed_array(content)
        except Fault as fault:
            lines = fault.column is not None and (fault.line or 0) > 1
            hint = "; is it one value in each line? say lines=True" if lines else ""
            complain(self.name, f"{fault.reason}{hint}", line=fault.line, column=fault.column)
        if not isinstance(found, list):
            kind = type(found).__name__
            raise ConfigurationError(f"{self.name}: holds one {kind}, and not an array of rows")
        of, name = self._values.of, self.name
        rows = (of(f"{name}, row {number:,}", row) for number, row in enumerate(found, 1))
        return list(self._slowly(rows, Progress(f"reading {name}", len(found)), None))
