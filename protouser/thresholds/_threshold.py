"""A threshold as it is understood: of which rows, which figure, compared how with what."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

__all__ = ["COMPARISONS", "COUNT", "NUMBER", "RATE", "SHARE", "TIME", "Figure", "Threshold"]

#: Kinds of values: nanoseconds, a plain count, a share of 1, a count per second, a tester's number.
TIME: Final = "time"
COUNT: Final = "count"
SHARE: Final = "share"
RATE: Final = "rate"
NUMBER: Final = "number"

COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Figure:
    """What is looked at.

    Attributes:
        of: "calls" (their times), an outcome, "dropped" or "late" (their number), "counter",
            "trend", "gauge", or "monitor" (a gauge by the name of a monitor and its series).
        subject: the name of the counter, trend or gauge.
        measure: "mean", "min", "max", or a share for a percentile; what is counted has none.
    """

    of: str
    subject: str = ""
    measure: str | float = ""


@dataclass(frozen=True)
class Threshold:
    """One condition on the results.

    Attributes:
        text: as the tester wrote it.
        figure: what is looked at.
        comparison: a key of ``COMPARISONS``.
        limit: what it is compared with, in the unit of ``kind``.
        kind: what sort of value it is.
        type_glob, name_glob: the rows; None where no rows were named.
        together: the rows are taken together; else each of them has to pass.
        series: "service" or "response"; None is response where there is one.
        window: seconds before any moment of the test; None is the whole test.
        abort_after: seconds after which the test ends when this fails; None is never.
        unit: what a server's figure is shown in.
    """

    text: str
    figure: Figure
    comparison: str
    limit: float
    kind: str
    type_glob: str | None = None
    name_glob: str | None = None
    together: bool = True
    series: str | None = None
    window: float | None = None
    abort_after: float | None = None
    unit: str = ""

    def passes(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return COMPARISONS[self.comparison](value, self.limit)

    def is_worse(self, value: float, than: float) -> bool:
        """Whether a value is further from passing."""
        return value < than if self.comparison in (">", ">=") else value > than

    def wants(self, type_: object, name: object) -> bool:
        """Whether a row belongs to it; one word names a type or a name."""
        if self.name_glob is None:
            return True
        if self.type_glob is None:
            return any(fnmatchcase(str(word), self.name_glob) for word in (type_, name))
        return fnmatchcase(str(type_), self.type_glob) and fnmatchcase(str(name), self.name_glob)
