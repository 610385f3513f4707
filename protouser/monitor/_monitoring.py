"""Asks every exporter once a second while a test runs, on the master or where there is none.

Each target has a greenlet of its own, and a question is given up after most of a second, so a
target that hangs delays neither the test nor the other targets. While it is down there is a gap in
its series and, once, a line in the log.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import WorkerRunner

import logging
from array import array
from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import gevent

from protouser._call import now
from protouser._columns import columns
from protouser._errors import ConfigurationError
from protouser._options import Option, option
from protouser._quantity import quantity
from protouser._sections import Section
from protouser.monitor._samples import Reader, samples_of
from protouser.monitor._scrape import Unanswered, scrape
from protouser.monitor._target import Target, checked

if TYPE_CHECKING:
    from protouser._session import Session

__all__ = ["MONITOR", "Monitoring"]

logger = logging.getLogger(__name__)

MONITOR: Final = Option(
    "monitor",
    "Ask an exporter of Prometheus figures once a second, such as db=http://db:9100/metrics;"
    " #SELECTORS behind it choose. May be given several times.",
    metavar="NAME=URL",
    check=checked,
    many=True,
)

_EVERY: Final = 1.0
_PATIENCE: Final = 0.9
_MOST_SERIES: Final = 50
_MOST_VALUES: Final = 100_000


class Monitoring:
    """The exporters of one environment, from the start of each test to its end."""

    def __init__(self, session: Session, environment: Environment) -> None:
        self._session = session
        self._environment = environment
        self._greenlets: list[gevent.Greenlet[..., Any]] = []
        self._values: dict[tuple[str, str], array[float]] = {}
        self._gaps: dict[str, int] = {}

    def listen(self) -> None:
        """Listen for the start and the end of tests; not on a worker."""
        if isinstance(self._environment.runner, WorkerRunner):
            return
        events = self._environment.events
        events.test_start.add_listener(self._start)
        events.test_stop.add_listener(self._stop)

    def _start(self, **_event: Any) -> None:
        self._stop()
        self._values, self._gaps = {}, {}
        texts = option(self._environment, MONITOR) or []
        if texts:
            self._session.sections.add(Section("monitors", "Monitors", self._rows, self._lines))
        for text in texts:
            self._greenlets.append(gevent.spawn(self._watch, Target.parse(text)))

    def _stop(self, **_event: Any) -> None:
        gevent.killall(self._greenlets, block=False)
        self._greenlets = []

    def _watch(self, target: Target) -> None:
        reader, told, due = Reader(), False, now()
        while True:
            try:
                text = scrape(target, _PATIENCE)
                self._note(target, reader.read(samples_of(text, target.selectors), now()))
            except (Unanswered, ValueError) as error:
                reader.forget()
                self._gaps[target.name] = self._gaps.get(target.name, 0) + 1
                if not told:
                    told = True
                    logger.warning("%s", _trouble(target, error))
            except ConfigurationError as error:
                logger.error("%s", error)
                return
            due = max(due + _EVERY, now())
            gevent.sleep(due - now())

    def _note(self, target: Target, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            key = (target.name, name)
            values = self._values.get(key)
            if values is None:
                if self._is_full(target):
                    continue
                values = self._values[key] = array("d")
            if len(values) < _MOST_VALUES:
                values.append(value)
            self._session.figures.gauge(f"{target.name}.{name}", value)

    def _is_full(self, target: Target) -> bool:
        if sum(1 for name, _ in self._values if name == target.name) < _MOST_SERIES:
            return False
        text = (
            f"the monitor {target.name!r} has more than {_MOST_SERIES} series; the others are left"
            " out: choose with #SELECTORS behind its URL"
        )
        if self._session.is_news(text):
            logger.warning("%s", text)
        return True

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "monitor": target,
                "series": name,
                "count": len(values),
                "mean": sum(values) / len(values),
                "p95": sorted(values)[ceil(len(values) * 0.95) - 1],
                "max": max(values),
                "gaps": self._gaps.get(target, 0),
            }
            for (target, name), values in sorted(self._values.items())
            if values
        ]

    def _lines(self) -> Iterator[str]:
        rows = self._rows()
        if not rows:
            return
        head = ("Monitor", "mean", "p95", "max")
        table = [
            [f"{row['monitor']} {row['series']}", *(quantity(row[cell]) for cell in head[1:])]
            for row in rows
        ]
        yield from columns([head, *table])
        for target, gaps in sorted(self._gaps.items()):
            yield f"{target} did not answer {gaps} time{'s' * (gaps != 1)}"
        yield ""


def _trouble(target: Target, error: Exception) -> str:
    reason = str(error)
    if isinstance(error, ValueError):
        reason = "it answers something that is not in Prometheus' text format"
    return f"the monitor {target.name!r} at {target.shown} has a gap: {reason} (said once)"
