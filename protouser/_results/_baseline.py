"""A run that got worse than an earlier one fails."""

from __future__ import annotations

from locust.env import Environment

from collections.abc import Iterable
from typing import Any, Final

from protouser._options import Option, option
from protouser._results._comparison import (
    FAILED,
    Difference,
    compare,
    comparison_table,
    load_results,
    only_in_one,
)
from protouser._results._document import document
from protouser._sections import Section
from protouser._session import Session

__all__ = ["BASELINE", "Baseline"]

#: What is no noise, and still too little to fail a run: of times, and of the share of failures.
_TOLERATED: Final = 0.05
_TOLERATED_FAILURES: Final = 0.001


def _readable(file: str) -> str:
    load_results(file)
    return file


BASELINE: Final = Option(
    "baseline",
    "Fail the run if it is worse than the one whose --protouser-json FILE this is: slower by more"
    " than 5% and more than noise, or with more failures.",
    "FILE",
    _readable,
)


class Baseline:
    """Compares a test with an earlier one at its end."""

    def __init__(self, session: Session, environment: Environment) -> None:
        self._session = session
        self._environment = environment
        self._before: dict[str, Any] | None = None
        self._differences: list[Difference] = []
        self._only_in_one: list[str] = []
        self._concluded = False

    def start(self) -> None:
        """A test starts; the earlier results are read before it, as they may be written anew."""
        file = option(self._environment, BASELINE)
        self._differences, self._only_in_one, self._concluded = [], [], False
        self._before = load_results(file) if file else None
        if self._before is not None:
            section = Section("baseline", "", self.rows, self.lines)
            self._session.sections.add(section)

    def conclude(self) -> None:
        """All figures are in: compare."""
        if self._before is not None:
            after = document(self._session)
            self._differences = compare(self._before, after)
            self._only_in_one = only_in_one(self._before, after)
            self._concluded = True

    @property
    def passed(self) -> bool | None:
        """Whether the run is as good as the earlier one; None where none was given.

        A run that has no row in common with it was not compared, and does not pass.
        """
        if not self._concluded:
            return None
        return bool(self._differences) and not any(map(_is_worse, self._differences))

    def rows(self) -> list[dict[str, Any]]:
        """A row for every figure that was compared; times in nanoseconds, shares of 1."""
        return [
            {
                **each._asdict(),
                "change": each.change,
                "found": "{} to {}, {}".format(*each.found),
                "verdict": each.verdict,
                "worse": _is_worse(each),
            }
            for each in self._differences
        ]

    def lines(self) -> Iterable[str]:
        """What is said under the summary."""
        if not self._concluded:
            return []
        worse = sum(map(_is_worse, self._differences))
        found = f"{worse} of {len(self._differences)} figures got worse"
        head = f"Against the baseline: {found if self._differences else 'nothing to compare'}"
        table = comparison_table(self._differences) if self._differences else []
        return [head, *(f"  {line}" for line in (*table, *self._only_in_one)), ""]


def _is_worse(each: Difference) -> bool:
    if each.low is None or each.low <= 0:
        return False
    return each.change > (_TOLERATED_FAILURES if each.figure == FAILED else _TOLERATED)
