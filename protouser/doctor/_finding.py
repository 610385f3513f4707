"""What an examination found: one sentence, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["FINE", "NOTE", "PROBLEM", "WARNING", "Finding"]

FINE: Final = "ok"
NOTE: Final = "note"
WARNING: Final = "warning"
PROBLEM: Final = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: ``FINE``; ``NOTE`` for what could not be looked at; ``WARNING`` for what may make the
            figures wrong; ``PROBLEM`` for what keeps a run from working.
        subject: what was looked at, in one or two words.
        text: what it is like.
        remedy: what to do; empty where there is nothing to do.
    """

    level: str
    subject: str
    text: str
    remedy: str = ""
