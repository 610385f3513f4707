"""Result files, written by the master alone, once the last figures of a test are in."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from pathlib import Path
from typing import Any, Final

from protouser._errors import ConfigurationError
from protouser._options import Option, option
from protouser._results._document import document
from protouser._session import Session
from protouser.page import page

__all__ = ["CSV", "HTML", "JSON", "ResultFiles", "writable", "write_file"]

logger = logging.getLogger(__name__)


def writable(text: str) -> str:
    """A path that a file can be written to at the end.

    Raises:
        ConfigurationError: its directory does not exist or cannot be written to, or the path is
            a directory itself.
    """
    path = Path(text)
    folder = path.parent
    if path.is_dir():
        raise ConfigurationError(f"{text} is a directory; name a file in it")
    if not folder.is_dir():
        raise ConfigurationError(f"{text} cannot be written: there is no directory {folder}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ConfigurationError(f"{text} cannot be written: permission denied")
    return text


JSON: Final = Option("json", "Write all results to FILE at the end of a test.", "FILE", writable)
CSV: Final = Option(
    "csv",
    "Write a table of all calls to FILE.csv, and one of every second to FILE.timeline.csv.",
    "FILE.csv",
    writable,
)
HTML: Final = Option("html", "Write a page with charts to FILE.html.", "FILE.html", writable)

_CALL_COLUMNS: Final = (
    *("type", "name", "series", "outcome", "count"),
    *("min_ns", "mean_ns", "p50_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns", "p9999_ns", "max_ns"),
)
_SLICE_COLUMNS: Final = (
    *("at", "seconds", "type", "name", "series", "outcome", "count"),
    *("min_ns", "mean_ns", "p50_ns", "p95_ns", "p99_ns", "max_ns"),
)


class ResultFiles:
    """Writes the files that were asked for."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def write(self) -> None:
        """Write every file; one that cannot be written is an error in the log, and no more."""
        environment = self._session.environment
        as_json, as_csv, as_html = (option(environment, each) for each in (JSON, CSV, HTML))
        if not (as_json or as_csv or as_html):
            return
        results = document(self._session)
        if as_json:
            write_file(as_json, json.dumps(results, indent=1, allow_nan=False) + "\n")
        if as_html:
            write_file(as_html, page(results))
        if as_csv:
            timeline = Path(as_csv).with_suffix(".timeline.csv")
            write_file(as_csv, _table(_CALL_COLUMNS, results["calls"]))
            write_file(str(timeline), _table(_SLICE_COLUMNS, _in_slices(results["timeline"])))


def write_file(name: str, text: str) -> None:
    """Write a file as a whole or not at all; an error is logged."""
    path = Path(name)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        logger.error("%s could not be written: %s", name, error.strerror or error)
    else:
        logger.info("wrote %s", name)


def _in_slices(timeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"at": slice_["at"], "seconds": slice_["seconds"], **row}
        for slice_ in timeline
        for row in slice_["calls"]
    ]


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
