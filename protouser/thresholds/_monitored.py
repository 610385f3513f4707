"""Whether thresholds on servers' figures name figures that are watched at all."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import WorkerRunner

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from protouser._errors import ConfigurationError
from protouser._options import option
from protouser.monitor import MONITOR, Target
from protouser.thresholds._grammar import MONITORED
from protouser.thresholds._threshold import Threshold

__all__ = ["check_monitored"]

_MOST_SHOWN: Final = 10


def check_monitored(environment: Environment, thresholds: Iterable[Threshold]) -> None:
    """Compare them with the monitors that are given; not on a worker, which is given none.

    Raises:
        ConfigurationError: there is no such monitor, or it selects no such series; the place is
            marked.
    """
    if isinstance(environment.runner, WorkerRunner):
        return
    targets = [Target.parse(text) for text in option(environment, MONITOR) or []]
    for threshold in thresholds:
        if threshold.figure.of == "monitor":
            _check(threshold, targets)


def _check(threshold: Threshold, targets: list[Target]) -> None:
    name, _, series = threshold.figure.subject.partition(".")
    named = [each for each in targets if fnmatchcase(each.name, name)]
    begin = threshold.text.index(MONITORED) + len(MONITORED)
    if not named:
        names = [each.name for each in targets]
        given = _close(name, names) or f"give it with {MONITOR.flag} {name}=URL"
        _stop(threshold, f"there is no monitor {name!r}; {given}", begin, len(name))
    selectors = [selector for target in named for selector in target.selectors]
    if not any(selector.may_show(series) for selector in selectors):
        texts = [selector.text for selector in selectors]
        shown = ", ".join(texts[:_MOST_SHOWN])
        given = _close(series.removesuffix("/s"), texts) or f"it selects {shown}"
        reason = f"the monitor {name!r} shows no series {series!r}; {given}"
        _stop(threshold, reason, begin + len(name) + 1, len(series))


def _close(word: str, words: list[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else ""


def _stop(threshold: Threshold, reason: str, begin: int, length: int) -> None:
    marks = " " * begin + "^" * max(length, 1)
    raise ConfigurationError(f"threshold: {reason}\n  {threshold.text}\n  {marks}")
