"""Feeders of files: what a tester says about a CSV or JSON file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from protouser.feeders._csv_format import CsvFormat
from protouser.feeders._csv_source import CsvSource
from protouser.feeders._data_file import DataFile
from protouser.feeders._feeder import Feeder
from protouser.feeders._json_source import JsonSource
from protouser.feeders._types import Types
from protouser.feeders._values import Values

__all__ = ["CsvFeeder", "JsonFeeder"]


class CsvFeeder(Feeder):
    """Rows of a CSV file, or of one with another delimiter.

    Args:
        file: a path, relative to where ``locust`` is started, or an open file, which is read whole.
            ``.gz``, ``.bz2`` and ``.xz`` are decompressed.
        delimiter: one character; ``"tab"`` is understood. By default a comma, or what the suffix
            says (``.tsv``, ``.psv``, ``.ssv``).
        encoding: of the file; by default UTF-8, or UTF-16 and UTF-32 where their mark is there.
        quotechar: what fields are quoted with; None where quotes mean nothing.
        escapechar: what takes the meaning from the character behind it.
        header: the first row is the header; by default if no ``fields`` are given.
        fields: names for the columns.
        required: columns that have to be there.
        types: functions by column; every other value is the text of the file.
        comment: lines between rows that begin with it are left out.
        skip_lines: so many lines at the top of the file are left out.
        skip_blank: blank lines are left out.
        short: rows with too few values: an "error", or "none" for what is missing.
        long: rows with too many values: an "error", or "drop" what is too much.
        handing_out: name, order, seed, at_end, share, sticky, on_worker_loss, lease and transform,
            as for ``Feeder``.
    """

    def __init__(
        self,
        file: Any,
        *,
        delimiter: str | None = None,
        encoding: str | None = None,
        quotechar: str | None = '"',
        escapechar: str | None = None,
        header: bool | None = None,
        fields: Sequence[str] | None = None,
        required: Iterable[str] = (),
        types: Mapping[str, Callable[[Any], Any]] | None = None,
        comment: str | None = None,
        skip_lines: int = 0,
        skip_blank: bool = True,
        short: Literal["error", "none"] = "error",
        long: Literal["error", "drop"] = "error",
        name: str = "",
        **handing_out: Any,
    ) -> None:
        data = DataFile(file, encoding)
        form = CsvFormat.of(
            data,
            delimiter=delimiter,
            header=header,
            fields=fields,
            quotechar=quotechar,
            escapechar=escapechar,
            comment=comment,
            skip_lines=skip_lines,
            skip_blank=skip_blank,
            short=short,
            long=long,
        )
        kinds = Types(types)
        source = CsvSource(data, form, types=kinds, required=required)
        self._declare(source, name or data.name, kinds, **handing_out)


class JsonFeeder(Feeder):
    """Rows of a JSON file: an array, or one value in each line.

    Objects are rows with their names, each with its own; arrays get names by ``fields``.

    Args:
        file: as for ``CsvFeeder``. An array is held in memory; lines are read as they are needed.
        lines: there is a value in each line; by default if the suffix is ``.jsonl`` or ``.ndjson``.
        encoding: of the file.
        fields: the columns to take, or names for the values of arrays.
        required: columns that every row has to have.
        types: functions by column.
        handing_out: as for ``CsvFeeder``.
    """

    def __init__(
        self,
        file: Any,
        *,
        lines: bool | None = None,
        encoding: str | None = None,
        fields: Sequence[str] | None = None,
        required: Iterable[str] = (),
        types: Mapping[str, Callable[[Any], Any]] | None = None,
        name: str = "",
        **handing_out: Any,
    ) -> None:
        data = DataFile(file, encoding)
        kinds = Types(types)
        source = JsonSource(data, lines, Values(fields, required), kinds)
        self._declare(source, name or data.name, kinds, **handing_out)
