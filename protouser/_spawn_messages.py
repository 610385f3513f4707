"""A worker of Locust takes its master's options without stopping its users.

Each message to spawn users carries all options, and for each of them Locust builds its whole
argument parser anew, to see whether the option is one of its own: 0.1 to 0.2 s in which no user of
the worker runs, with every step of a ramp-up. The names of Locust's own options do not change while
it runs, so here they are asked for once. Whoever has replaced that function before keeps his own.
"""

from __future__ import annotations

from locust import argument_parser

from functools import lru_cache
from typing import Any, Final

__all__ = ["remember_default_options"]

_LOCUSTS: Final = argument_parser.default_args_dict


@lru_cache(maxsize=1)
def _remembered() -> dict[str, Any]:
    return dict(_LOCUSTS())


def remember_default_options() -> None:
    """Have Locust look up its own options once in a process."""
    if argument_parser.default_args_dict is _LOCUSTS:
        argument_parser.default_args_dict = _remembered
