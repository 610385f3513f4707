"""A run that got slower than an earlier one fails."""

from __future__ import annotations

from locust.env import Environment

from collections.abc import Iterable
from typing import Final

from protouser._errors import ConfigurationError
from protouser._options import Option, option
from protouser._results._comparison import Difference, compare, comparison_table, load_results
from protouser._results._document import document
from protouser._session import Session

__all__ = ["BASELINE", "Baseline"]

#: A difference that is no noise, and still too small to fail a run.
_TOLERATED: Final = 0.05


def _readable(file: str) -> str:
    load_results(file)
    return file


BASELINE: Final = Option(
    "baseline",
    "fail the run if it is slower than the one whose --protouser-json FILE this is, by more than"
    " 5% and more than noise",
    "FILE",
    _readable,
)


class Baseline:
    """Compares a test with an earlier one at its end."""

    def __init__(self, session: Session, environment: Environment) -> None:
        self._session = session
        self._environment = environment
        self._differences: list[Difference] = []

    def conclude(self) -> None:
        """All figures are in: compare."""
        self._differences = []
        file = option(self._environment, BASELINE)
        if not file:
            return
        try:
            before = load_results(file)
        except ConfigurationError as error:  # it was there when the test started
            self._session.complain_once(file, "the baseline", error)
            return
        self._differences = compare(before, document(self._session))

    @property
    def passed(self) -> bool | None:
        """Whether the run is as good as the earlier one; None where there is nothing to compare."""
        return not any(map(_is_worse, self._differences)) if self._differences else None

    def lines(self) -> Iterable[str]:
        """What is said under the summary."""
        if not self._differences:
            return []
        worse = sum(_is_worse(each) for each in self._differences)
        head = f"Against the baseline: {worse} of {len(self._differences)} percentiles got worse"
        return [head, *(f"  {line}" for line in comparison_table(self._differences)), ""]


def _is_worse(each: Difference) -> bool:
    return each.verdict == "slower" and each.change > _TOLERATED
