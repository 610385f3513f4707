"""``protouser trace``: a file of traces, as a person reads it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from protouser.trace._view import view

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("file", type=Path, help="what --protouser-trace has written")
    parser.add_argument("--name", metavar="GLOB", help="only calls of rows that match")
    parser.add_argument("--outcome", help="only success, failure, cancelled, one_way or skipped")
    parser.add_argument("--user", metavar="TEXT", help='only calls of this user, such as "Buyer 3"')


def run(options: argparse.Namespace) -> int:
    """Print what the file holds; 2 where it cannot be read."""
    try:
        shown = 0
        for record in _records(options.file):
            if _wanted(record, options):
                sys.stdout.write(f"{view(record)}\n")
                shown += 1
    except OSError as error:
        sys.stderr.write(f"protouser trace: {options.file}: {(error.strerror or '').lower()}\n")
        return 2
    except (ValueError, KeyError, TypeError):
        sys.stderr.write(f"protouser trace: {options.file} is no file of --protouser-trace\n")
        return 2
    sys.stdout.write(f"\n{shown:,} calls\n")
    return 0


def _records(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):  # the last one may be cut off by a run that was killed
                yield json.loads(line)


def _wanted(record: dict[str, Any], options: argparse.Namespace) -> bool:
    if options.name and not fnmatchcase(record["name"], options.name):
        return False
    if options.outcome and record["outcome"] != options.outcome:
        return False
    return not options.user or record["user"] == options.user
