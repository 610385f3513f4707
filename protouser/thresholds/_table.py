"""Thresholds as a table at the end, and as plain rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from protouser.thresholds._verdict import Verdict

__all__ = ["rows_of", "table"]


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """Lines for people; none without thresholds."""
    if not verdicts:
        return []
    crossed = sum(not verdict.passed for verdict in verdicts)
    lines = [f"Thresholds: {len(verdicts) - crossed} passed, {crossed} crossed"]
    width = max(len(_asked(verdict)) for verdict in verdicts)
    for verdict in verdicts:
        word = "pass" if verdict.passed else "FAIL"
        found = f"{verdict.found}{verdict.when}"
        lines.append(f"  {word}  {_asked(verdict):{width}}  {found}")
    return [*lines, ""]


def rows_of(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Rows for files and the web UI; a value is in nanoseconds, a share of 1, or a number."""
    return [
        {
            "threshold": verdict.threshold.text,
            "row": verdict.row,
            "passed": verdict.passed,
            "value": verdict.value,
            "limit": verdict.threshold.limit,
            "found": verdict.found,
            "at": verdict.at,
        }
        for verdict in verdicts
    ]


def _asked(verdict: Verdict) -> str:
    return f"{verdict.threshold.text}  [{verdict.row}]" if verdict.row else verdict.threshold.text
