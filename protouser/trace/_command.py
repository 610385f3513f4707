"""``protouser trace``: a file of traces, as a person reads it."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from protouser.trace._view import in_colours, moment, view

__all__ = ["add_arguments", "run"]

_WHEN: Final = "%Y-%m-%d %H:%M:%S"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("file", type=Path, help="what --protouser-trace has written")
    parser.add_argument("--name", metavar="GLOB", help="only calls of rows that match")
    parser.add_argument("--outcome", help="only success, failure, cancelled, one_way or skipped")
    parser.add_argument("--reason", metavar="GLOB", help="only calls that failed for such a reason")
    parser.add_argument("--user", metavar="TEXT", help='only calls of this user, such as "Buyer 3"')


def run(options: argparse.Namespace) -> int:
    """Print what the file holds; 2 where it cannot be read."""
    shown = _Shown()
    colours = in_colours(sys.stdout)
    try:
        for record in _records(options.file):
            if _wanted(record, options):
                sys.stdout.write(f"{view(record, colours)}\n")
                shown.note(record)
        sys.stdout.write(f"{shown.summary(options.file)}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # which says nothing about the file
        raise
    except OSError as error:
        sys.stderr.write(f"protouser trace: {options.file}: {(error.strerror or '').lower()}\n")
        return 2
    except _NoTraceError as error:
        sys.stderr.write(f"protouser trace: {error}\n")
        return 2
    return 0


class _NoTraceError(Exception):
    """What was read is not what a run writes; the text says where."""


class _Shown:
    """What was shown of a file."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._moments: list[float] = []

    def note(self, record: dict[str, Any]) -> None:
        """This one was shown."""
        self._outcomes[record["outcome"]] += 1
        self._moments = [min([*self._moments, record["at"]]), max([*self._moments, record["at"]])]

    def summary(self, file: Path) -> str:
        """The last lines: how many of what, and of which day."""
        if not self._outcomes:
            return f"no calls in {file}" if not file.stat().st_size else f"no such calls in {file}"
        outcomes = ", ".join(f"{count:,} {name}" for name, count in self._outcomes.most_common())
        first, last = (moment(at).strftime(_WHEN) for at in self._moments)
        calls = self._outcomes.total()
        return f"\n{calls:,} call{'s' * (calls != 1)} from {first} to {last}: {outcomes}"


def _records(file: Path) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.endswith("\n"):  # the last one may be cut off by a run that was killed
                    yield _record(line)
                elif number == 1:
                    raise ValueError
    except (ValueError, KeyError, TypeError):
        place = f"{file}, line {max(number, 1)}"
        raise _NoTraceError(f"{place} is nothing that --protouser-trace has written") from None


def _record(line: str) -> dict[str, Any]:
    record = json.loads(line)
    view(record)
    return dict(record)


def _wanted(record: dict[str, Any], options: argparse.Namespace) -> bool:
    if options.name and not fnmatchcase(record["name"], options.name):
        return False
    if options.outcome and record["outcome"] != options.outcome:
        return False
    if options.reason and not fnmatchcase(record["reason"] or "", options.reason):
        return False
    return not options.user or record["user"] == options.user
