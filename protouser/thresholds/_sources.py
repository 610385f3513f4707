"""Where thresholds come from: options, a file, user classes and their modules."""

from __future__ import annotations

from locust.env import Environment

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from protouser._errors import ConfigurationError
from protouser._options import Option, option
from protouser.thresholds._grammar import parse
from protouser.thresholds._monitored import check_monitored
from protouser.thresholds._threshold import Threshold

__all__ = ["FILE", "THRESHOLD", "check_thresholds", "thresholds_of"]


def _one(text: str) -> str:
    parse(text)
    return text


def _file(text: str) -> str:
    for line in _lines(text):
        parse(line)
    return text


THRESHOLD: Final = Option(
    "threshold",
    "Fail the run unless this holds, as in 'grpc *: p95 < 200ms' or 'failures < 1%'. May be"
    " given several times.",
    "THRESHOLD",
    _one,
    many=True,
)
FILE: Final = Option(
    "thresholds", "A file with one threshold a line; # begins a comment.", "FILE", _file
)


def thresholds_of(environment: Environment) -> list[Threshold]:
    """Every threshold of a run, each text once.

    Raises:
        ConfigurationError: one cannot be read.
    """
    given: list[str] = []
    for kind in environment.user_classes:
        module = sys.modules.get(kind.__module__)
        given += _texts(kind.__module__, getattr(module, "thresholds", ()))
        given += _texts(kind.__name__, getattr(kind, "thresholds", ()))
    file = option(environment, FILE)
    given += _lines(file) if file else []
    given += option(environment, THRESHOLD) or []
    return [parse(text) for text in dict.fromkeys(given)]


def check_thresholds(environment: Environment) -> None:
    """Read the thresholds of a run before the load starts.

    Raises:
        ConfigurationError: one cannot be read, or is on a figure of a server that nobody watches,
            with its place marked.
    """
    check_monitored(environment, thresholds_of(environment))


def _texts(owner: str, value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple) and all(isinstance(text, str) for text in value):
        return list(value)
    raise ConfigurationError(f"thresholds of {owner} must be a list of texts, not {value!r}")


def _lines(path: str) -> Iterator[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path} cannot be read: {reason}") from None
    for line in text.splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            yield line
