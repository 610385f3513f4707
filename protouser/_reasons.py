"""How many reasons the failures of a row may have: what comes after that is grouped.

What a server says may hold an id or a time, and each text is a row of Locust's table of failures,
in memory, on the wire and in every report. The first texts of a row stand there as they are;
later ones without their numbers, and in the end all together. No failure is lost, only its words.
"""

from __future__ import annotations

from locust.exception import CatchResponseError
from locust.stats import StatsError

import logging
import re
from typing import Final

__all__ = ["OTHER_REASONS", "Reasons"]

logger = logging.getLogger(__name__)

#: The reason of those that are grouped without their words.
OTHER_REASONS: Final = "(other reasons)"

_MOST: Final = 20
_MOST_ROWS: Final = 1000
_NUMBER: Final = re.compile(r"[\w-]*\d[\w-]*")
_ADVICE: Final = (
    "%s %s: %s have %d different reasons; further ones are counted without their numbers, or as %r"
)


class Reasons:
    """The reasons of one test, first come, first served."""

    def __init__(
        self, what: str = "failures", most: int = _MOST, most_rows: int = _MOST_ROWS
    ) -> None:
        self._what = what
        self._most = most
        self._most_rows = most_rows
        self._known: dict[tuple[str, str], set[str]] = {}
        self._grouped: dict[tuple[str, str], set[str]] = {}

    def admit(self, type_: str, name: str, reason: BaseException) -> BaseException:
        """What a failure of a row is reported with: its reason, or the group of that.

        The reason itself is the ``__cause__`` of a group.
        """
        text = _text(reason)
        shown = self.shown(type_, name, text)
        if shown == text:
            return reason
        group = CatchResponseError(shown)
        group.__cause__ = reason
        return group

    def shown(self, type_: str, name: str, text: str) -> str:
        """The text of a row as it is shown: as it was said, or that of its group."""
        row = (type_, name)
        if row not in self._known and len(self._known) >= self._most_rows:
            row = ("", "")
        known = self._known.setdefault(row, set())
        if text in known:
            return text
        if len(known) >= self._most:
            return self._group(row, text)
        known.add(text)
        if len(known) == self._most:
            logger.warning(_ADVICE, type_, name, self._what, self._most, OTHER_REASONS)
        return text

    def _group(self, row: tuple[str, str], text: str) -> str:
        masked, groups = _NUMBER.sub("*", text), self._grouped.setdefault(row, set())
        if masked not in groups:
            if len(groups) >= self._most:
                return OTHER_REASONS
            groups.add(masked)
        return masked


def _text(reason: BaseException) -> str:
    """As it will stand in Locust's table."""
    if isinstance(reason, CatchResponseError):
        return str(reason)
    return StatsError.parse_error(reason)  # type: ignore[arg-type]  # it takes any exception
