"""Rates and durations as a tester writes them: ``200/s``, ``5/m``, ``1m30s``.

What cannot be read is an error that shows the text and marks the place in it.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from protouser._errors import ConfigurationError

__all__ = ["read_duration", "read_rate", "refuse"]

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_NUMBER: Final = re.compile(r"\s*([+-]?\d[\d_]*(?:\.\d+)?)\s*")
_UNIT: Final = re.compile(r"[A-Za-z]+")


def read_rate(text: str) -> float:
    """Arrivals per second: a number, a slash and a unit of time.

    Raises:
        ConfigurationError: it is no rate, or a negative one.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f'a rate is text like "200/s", not {text!r}')
    number = _number(text, 0, "a rate is a number per unit of time, like 200/s or 5/m")
    at = number.end()
    if not text.startswith("/", at):
        refuse(text, at, "a slash and a unit of time are missing, as in 200/s")
    seconds, end = _unit(text, at + 1 + _blanks(text, at + 1))
    _nothing_after(text, end)
    value = float(number[1])
    if value < 0:
        refuse(text, number.start(1), "a rate cannot be negative")
    return value / seconds


def read_duration(given: str | float) -> float:
    """Seconds: a number of them, or text such as ``90s``, ``1m30s``, ``500ms``, ``2h``.

    Raises:
        ConfigurationError: it is no duration, or not longer than nothing.
    """
    text = given if isinstance(given, str) else f"{given!r}s"
    at, seconds = 0, 0.0
    while at < len(text) or not text:
        number = _number(text, at, "a duration is numbers with units, like 90s or 1m30s")
        unit, end = _unit(text, number.end())
        seconds += float(number[1]) * unit
        at = end + _blanks(text, end)
    if not 0 < seconds < float("inf"):
        refuse(text, 0, "a stage has to last longer than nothing")
    return seconds


def refuse(text: str, at: int, reason: str) -> NoReturn:
    """Raise the error that shows the text with the place marked.

    Raises:
        ConfigurationError: always.
    """
    raise ConfigurationError(f"{reason}\n    {text}\n    {' ' * at}^")


def _number(text: str, at: int, otherwise: str) -> re.Match[str]:
    number = _NUMBER.match(text, at)
    if number is None:
        refuse(text, at + _blanks(text, at), otherwise)
    return number


def _unit(text: str, at: int) -> tuple[float, int]:
    unit = _UNIT.match(text, at)
    if unit is None:
        refuse(text, at, "a unit of time is missing: ms, s, m or h")
    if unit[0] not in _SECONDS:
        refuse(text, at, f"no unit of time is called {unit[0]!r}; use ms, s, m or h")
    return _SECONDS[unit[0]], unit.end()


def _blanks(text: str, at: int) -> int:
    return len(text[at:]) - len(text[at:].lstrip())


def _nothing_after(text: str, at: int) -> None:
    rest = at + _blanks(text, at)
    if rest < len(text):
        refuse(text, rest, "nothing may follow the unit of time")
