"""Checks: predicates over a result that decide whether a call succeeded.

A check that returns something false fails the call, and so does one that raises, with the
exception's text as the reason: ``assert`` works as it does in a test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protouser._excerpt import representation, text_of
from protouser._matchers import Matcher
from protouser._steering import STEERING

__all__ = ["Check", "raises", "run_check", "shorten"]

Check = Callable[[Any], Any]

_LONGEST = 100


class raises:
    """A check for negative tests: the call succeeds when it raises ``expected``, else it fails.

    The timed call then returns the exception instead of raising it.
    """

    def __init__(self, *expected: type[BaseException]) -> None:
        self.expected = expected or (Exception,)

    def expects(self, error: BaseException) -> bool:
        """True when ``error`` is of the expected kind."""
        return isinstance(error, self.expected)

    def __call__(self, result: Any) -> bool:
        """True when ``result`` is an exception of the expected kind."""
        if isinstance(result, self.expected):
            return True
        names = " or ".join(kind.__name__ for kind in self.expected)
        raise AssertionError(f"expected {names}, but the call returned")


def run_check(check: Check, result: Any) -> str | None:
    """Why ``result`` is not good enough, or None when it is."""
    try:
        if check(result):
            return None
        if isinstance(check, Matcher):
            return shorten(check.explain(result))
    except STEERING:
        raise
    except Exception as error:  # noqa: BLE001  whatever a check raises is its verdict
        return shorten(text_of(error, f"check raised {type(error).__name__}"))
    return f"check failed: got {shorten(representation(result))}"


def shorten(text: str) -> str:
    """``text`` cut to what a table can show."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
