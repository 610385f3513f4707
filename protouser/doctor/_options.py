"""The options that a run of Locust would have, for locustfiles that read them."""

from __future__ import annotations

from locust.argument_parser import get_parser

import argparse
import contextlib
import io

from protouser._attach import OPTIONS

__all__ = ["options_of_a_run"]


def options_of_a_run() -> argparse.Namespace | None:
    """What the parser says without arguments, the locustfile's own options with their defaults.

    Ours are left out: a trial writes no files and judges no thresholds. None where an option that
    has to be given is not.
    """
    options: argparse.Namespace
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            options, _others = get_parser().parse_known_args([])
    except SystemExit:
        return None
    for each in OPTIONS:
        setattr(options, each.attribute, None)
    return options
