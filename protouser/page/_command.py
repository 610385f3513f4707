"""``protouser page`` as a command."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from protouser._errors import ConfigurationError
from protouser._results import load_results, writable
from protouser.page._page import page

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``protouser page``."""
    parser.add_argument("results", metavar="RESULTS.json", help="what --protouser-json wrote")
    parser.add_argument(
        "page", metavar="PAGE.html", nargs="?", help="where to (default: beside the results)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the page; returns the exit code: 2 where something cannot be read or written."""
    try:
        results = load_results(options.results)
        target = Path(writable(options.page or str(Path(options.results).with_suffix(".html"))))
        target.write_text(page(results, Path(options.results).stem), encoding="utf-8")
    except (ConfigurationError, OSError) as error:
        sys.stderr.write(f"protouser page: {error}\n")
        return 2
    sys.stdout.write(f"wrote {target}\n")
    return 0
