"""Samples of one scrape as figures: gauges as they are, counters as their rate.

A counter says nothing by itself; from its second sample on it is the difference by the seconds
between. One that has become smaller belongs to a process that was started anew, and says nothing
that time (as Prometheus' own ``rate``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from protouser._errors import ConfigurationError
from protouser.monitor._selector import Selector

__all__ = ["Reader", "Sample", "library", "samples_of"]

_HINT: Final = 'reading an exporter needs prometheus-client; pip install "protouser[monitor]"'


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure of one scrape."""

    name: str
    value: float
    counts: bool


def samples_of(text: str, selectors: Sequence[Selector]) -> Iterator[Sample]:
    """What is selected of an exporter's text, by the name that it is shown under.

    Raises:
        ValueError: it is not in the text format of Prometheus.
    """
    sums: dict[str, Sample] = {}
    for family in library().text_string_to_metric_families(_relevant(text, selectors)):
        counts = family.type == "counter"
        for each in family.samples:
            selector = _first(selectors, each.name, each.labels)
            if selector is None or each.name.endswith("_created"):
                continue
            if selector.summed:
                before = sums.get(selector.text)
                total = each.value + (before.value if before else 0.0)
                sums[selector.text] = Sample(selector.text, total, counts)
            else:
                yield Sample(_title(each.name, each.labels), each.value, counts)
    yield from sums.values()


class Reader:
    """Makes figures of samples, one scrape after the other."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def read(self, samples: Iterator[Sample], at: float) -> dict[str, float]:
        """The figures of a scrape that was answered at ``at``, a ``now()`` value."""
        figures: dict[str, float] = {}
        before, self._before = self._before, {}
        for sample in samples:
            if sample.counts:
                self._before[sample.name] = (sample.value, at)
                earlier, then = before.get(sample.name, (sample.value, at))
                if at > then and sample.value >= earlier:
                    figures[f"{sample.name}/s"] = (sample.value - earlier) / (at - then)
            elif sample.value == sample.value:  # no NaN
                figures[sample.name] = sample.value
        return figures

    def forget(self) -> None:
        """The exporter did not answer: what a counter did meanwhile is no rate of a second."""
        self._before = {}


def library() -> Any:
    """What reads the text; importing it takes a tenth of a second, so it is wanted before a test.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        from prometheus_client import parser
    except ImportError:
        raise ConfigurationError(_HINT) from None
    return parser


def _relevant(text: str, selectors: Sequence[Selector]) -> str:
    """The lines that may be selected, with what says their type: parsing costs by the line."""
    starts = tuple(selector.name.partition("*")[0].partition("?")[0] for selector in selectors)
    lines = [
        line for line in text.splitlines() if line.startswith(starts) or line.startswith("# TYPE ")
    ]
    return "\n".join([*lines, ""])


def _first(selectors: Sequence[Selector], name: str, labels: dict[str, str]) -> Selector | None:
    return next((each for each in selectors if each.picks(name, labels)), None)


def _title(name: str, labels: dict[str, str]) -> str:
    if not labels:
        return name
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inside}}}"
