"""How separated values are written, as the standard library's ``csv`` understands it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from protouser._errors import ConfigurationError
from protouser.feeders._data_file import DataFile

__all__ = ["CsvFormat"]

_DELIMITERS = {".tsv": "\t", ".tab": "\t", ".psv": "|", ".ssv": ";"}
_SPELLED = {"tab": "\t", r"\t": "\t"}


@dataclass(frozen=True)
class CsvFormat:
    """Delimiter, quotes, header and what else ``CsvFeeder`` documents."""

    delimiter: str
    header: bool
    fields: tuple[str, ...] | None
    quotechar: str | None
    escapechar: str | None
    comment: str | None
    skip_lines: int
    skip_blank: bool
    short: str
    long: str

    @classmethod
    def of(
        cls,
        file: DataFile,
        *,
        delimiter: str | None,
        header: bool | None,
        fields: Sequence[str] | None,
        **more: Any,
    ) -> CsvFormat:
        """What a tester asked for, and what follows from the file's name.

        Raises:
            ConfigurationError: an option holds what ``csv`` cannot do.
        """
        mark = delimiter or _DELIMITERS.get(file.suffix, ",")
        names = None if fields is None else tuple(fields)
        with_header = names is None if header is None else header
        made = cls(_SPELLED.get(mark, mark), with_header, names, **more)
        made._check(file.name)
        return made

    def _check(self, file: str) -> None:
        for option, known in (("short", ("error", "none")), ("long", ("error", "drop"))):
            if getattr(self, option) not in known:
                given = getattr(self, option)
                raise ConfigurationError(f"{file}: {option}={given!r}; it is {' or '.join(known)}")
        try:
            csv.reader([], **self.reading)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{file}: {error}; it has to be one character") from None

    @property
    def reading(self) -> dict[str, Any]:
        """What ``csv.reader`` is told."""
        return {
            "delimiter": self.delimiter,
            "quotechar": self.quotechar,
            "escapechar": self.escapechar,
            "quoting": csv.QUOTE_NONE if self.quotechar is None else csv.QUOTE_MINIMAL,
            "strict": True,
        }
