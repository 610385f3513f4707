"""The figures up to now for a Prometheus server, from the master while it runs.

Times are cumulative histograms with fixed bounds, from which Prometheus computes percentiles of any
stretch of time; those of the whole run, more exact, are in the other results.
"""

from __future__ import annotations

from locust.env import Environment

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from gevent.pywsgi import WSGIServer

from protouser._errors import ConfigurationError
from protouser._figures import SUCCESS, Figures
from protouser._histogram import Histogram
from protouser._options import Option, option
from protouser._session import Session

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

__all__ = ["EXPORTER", "exposition", "serve_figures"]

#: Upper bounds in nanoseconds: 1, 2.5 and 5 of each power of ten, from 10 us to 50 s.
_BOUNDS: Final = tuple(int(step * 10**power) for power in range(4, 11) for step in (1, 2.5, 5))


def _address(text: str) -> str:
    """``[HOST:]PORT``; without a host, this machine alone may ask."""
    try:
        import prometheus_client  # noqa: F401  before the test, not in it
    except ModuleNotFoundError:
        raise ConfigurationError(
            'it needs prometheus-client; pip install "protouser[monitor]"'
        ) from None
    host, _, port = text.rpartition(":")
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigurationError(f"{text!r} is no [HOST:]PORT, such as 9646 or 0.0.0.0:9646")
    return f"{host or '127.0.0.1'}:{port}"


EXPORTER: Final = Option(
    "prometheus",
    "Serve the figures up to now to Prometheus at http://[HOST:]PORT/metrics; without HOST, to"
    " this machine alone",
    "[HOST:]PORT",
    _address,
)


def serve_figures(session: Session, environment: Environment) -> None:
    """Serve them until Locust quits, if that was asked for.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    address = option(environment, EXPORTER)
    if not address:
        return
    host, _, port = address.rpartition(":")
    listener = (host.strip("[]"), int(port))
    server = WSGIServer(listener, _application(session), log=None, error_log=None)
    try:
        server.start()
    except OSError as error:
        raise ConfigurationError(
            f"--protouser-prometheus cannot listen on {address}: {error.strerror}"
        ) from None
    environment.events.quit.add_listener(lambda **_: server.stop())


def _application(session: Session) -> Callable[[dict[str, Any], Any], list[bytes]]:
    def answer(asked: dict[str, Any], start_response: Any) -> list[bytes]:
        if asked["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"ask for /metrics\n"]
        start_response("200 OK", [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
        runner = session.environment.runner if session.environment else None
        return [exposition(session.results(), runner.user_count if runner else 0)]

    return answer


def exposition(figures: Figures, users: int) -> bytes:
    """The figures in Prometheus' text format, version 0.0.4."""
    from prometheus_client import generate_latest

    class Collector:
        def collect(self) -> Iterator[Metric]:
            return _families(figures, users)

    return bytes(generate_latest(Collector()))


def _families(figures: Figures, users: int) -> Iterator[Metric]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    yield GaugeMetricFamily("protouser_users", "Users that run now.", users)
    calls = CounterMetricFamily(
        "protouser_calls", "Calls that ended.", labels=("type", "name", "outcome")
    )
    yield _with_calls(calls, figures)
    times = HistogramMetricFamily(
        "protouser_duration_seconds", "Times of what succeeded.", labels=("type", "name", "series")
    )
    yield _with_times(times, figures)
    counters = CounterMetricFamily(
        "protouser_events", "What was counted beside calls.", labels=("type", "name", "counter")
    )
    for key, value in figures.counters.items():
        counters.add_metric(_texts(key), value)
    yield counters


def _with_calls(family: CounterMetricFamily, figures: Figures) -> CounterMetricFamily:
    outcomes = {key[3] for key in figures.timed} | {key[2] for key in figures.counted}
    for row in figures.rows():
        for outcome in sorted(outcomes):
            if count := figures.outcome(*row, outcome):
                family.add_metric(_texts((*row, outcome)), count)
    return family


def _with_times(family: HistogramMetricFamily, figures: Figures) -> HistogramMetricFamily:
    for (type_, name, series, outcome), histogram in figures.timed.items():
        if outcome == SUCCESS and histogram.count:
            total = histogram.mean * histogram.count / 1e9
            family.add_metric(_texts((type_, name, series)), _buckets(histogram), total)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """How many values do not exceed each bound."""
    counts = [0] * (len(_BOUNDS) + 1)
    for value, count in histogram.values():
        counts[bisect_left(_BOUNDS, value)] += count
    return list(zip(_names(), accumulate(counts), strict=True))


def _names() -> Sequence[str]:
    return [*(repr(bound / 1e9) for bound in _BOUNDS), "+Inf"]


def _texts(words: Iterable[object]) -> list[str]:
    return [str(word) for word in words]
