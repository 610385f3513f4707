"""JSON as a source of rows: an array, which is held in memory, or one value in each line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from protouser._errors import ConfigurationError
from protouser.feeders._data_file import DataFile, complain
from protouser.feeders._source import HeldRows, Pass, Table
from protouser.feeders._types import Types
from protouser.feeders._values import Values

__all__ = ["JsonSource"]

_LINES = (".jsonl", ".ndjson")


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
        self._known: Any = ()
        self._held: HeldRows | None = None

    def prepare(self) -> None:
        """Read everything once; the rows of an array are kept."""
        fingerprint = self.file.fingerprint()
        if self.count is not None and fingerprint == self._known:
            return
        self._known, self._held = fingerprint, None
        rows = self._checked(self._of_lines() if self._lines else self._of_array())
        if self._lines:
            self.count = sum(1 for _ in rows)
        else:
            self._held = HeldRows(list(rows))
            self.count = len(self._held)
        if not self.count:
            complain(self.name, "the file holds no rows")

    def open(self) -> Pass:
        """Begin to read."""
        return self._held or _LinesPass(self)

    def table(self) -> Table:
        """All rows by number, held in memory."""
        self.prepare()
        if self._held is None:
            self._held = HeldRows(list(self._of_lines()))
        return self._held

    def _checked(self, rows: Iterable[Any]) -> Iterator[Any]:
        for number, row in enumerate(rows, 1):
            if number == 1:
                self.names = self._values.names
            if self._types:
                self._values.check_types(self._types, self.name, number, row)
            yield row

    def _of_array(self) -> Iterator[Any]:
        with self.file.open_text() as text, self.file.reading():
            content = text.read()
        if not content.strip():
            complain(self.name, "the file is empty")
        try:
            found = json.loads(content)
        except json.JSONDecodeError as error:
            hint = "; is it one value in each line? say lines=True" if error.lineno > 1 else ""
            complain(self.name, f"{error.msg}{hint}", line=error.lineno, column=error.colno)
        if not isinstance(found, list):
            kind = type(found).__name__
            raise ConfigurationError(f"{self.name}: holds one {kind}, and not an array of rows")
        for number, row in enumerate(found, 1):
            yield self._values.of(f"{self.name}, row {number:,}", row)

    def _of_lines(self) -> Iterator[Any]:
        with self.file.open_text() as text, self.file.reading():
            for number, line in enumerate(text, 1):
                if line.isspace():
                    continue
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    complain(self.name, error.msg, line=number, column=error.colno)
                yield self._values.of(f"{self.name}, line {number:,}", row)
            self.file.verify(text, self._known)


class _LinesPass:
    """One reading of a file with a value in each line."""

    def __init__(self, source: JsonSource) -> None:
        self._rows = source._of_lines()

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def verify(self) -> None:
        """Every line is a whole value or an error; the rest is looked at when the file ends."""

    def close(self) -> None:
        """Close the file."""
        close = getattr(self._rows, "close", None)
        if close is not None:
            close()
