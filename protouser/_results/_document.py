"""The results as one document, whose members ``docs/results.md`` describes."""

from __future__ import annotations

from locust import __version__ as locust_version
from locust.runners import MasterRunner

import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

import gevent

from protouser._call import time_of_day
from protouser._results._rows import (
    FEW,
    PERCENTILES,
    call_rows,
    counter_rows,
    gauge_rows,
    trend_rows,
)
from protouser._secrets import without_secrets
from protouser._session import Session
from protouser._stages import stages_of
from protouser._timeline import Timeline

__all__ = ["SCHEMA", "document"]

#: The version of the document's form; a reader refuses another one.
SCHEMA: Final = 1


def document(session: Session) -> dict[str, Any]:
    """Everything that a test measured, as plain data for JSON."""
    figures = session.results()
    return {
        "schema": SCHEMA,
        "run": _run(session),
        "calls": call_rows(figures, PERCENTILES),
        "counters": counter_rows(figures),
        "trends": trend_rows(figures),
        "gauges": gauge_rows(figures),
        "stages": _stages(session),
        "annotations": [
            {"at": round(note.at, 3), "text": note.text}
            for note in sorted(session.timeline.notes)
            if note.kind == "note"
        ],
        "timeline": _timeline(session),
        **{section.key: section.as_json() for section in session.sections},
    }


def _run(session: Session) -> dict[str, Any]:
    runner = session.environment.runner if session.environment else None
    begin = datetime.fromtimestamp(time_of_day(session.began), UTC)
    _, _, most_users = session.results().gauges.get("users", (0, 0, 0))
    return {
        "start": begin.isoformat(timespec="milliseconds"),
        "duration": round(session.seconds, 3),
        "users": int(most_users),
        "workers": len(session.by_worker) if isinstance(runner, MasterRunner) else 0,
        "missing_workers": session.missing,
        "versions": {
            "protouser": version("protouser"),
            "locust": locust_version,
            "python": platform.python_version(),
        },
        "command": without_secrets(sys.argv),
    }


def _stages(session: Session) -> list[dict[str, Any]]:
    timeline, rows = session.timeline, []
    for stage in stages_of(timeline.notes, session.seconds):
        ends_last = stage.end == session.seconds  # the last slice is shorter than the others
        until = stage.end + timeline.width if ends_last else stage.end
        calls = call_rows(timeline.between(stage.begin, until), PERCENTILES)
        span = {"begin": round(stage.begin, 3), "end": round(stage.end, 3)}
        rows.append({"name": stage.name, **span, "calls": calls})
    return rows


def _timeline(session: Session) -> list[dict[str, Any]]:
    """A row for every slice. Others run between two of them, and may make slices wider."""
    timeline, width = session.timeline, 0
    rows: list[dict[str, Any]] = []
    while width != timeline.width:
        width, rows = timeline.width, []
        for begin, _ in list(timeline.slices()):
            rows.append(_slice_row(timeline, begin, session.seconds))
            gevent.sleep(0)
            if width != timeline.width:
                break
    return rows


def _slice_row(timeline: Timeline, begin: int, ended: float) -> dict[str, Any]:
    figures = timeline.between(begin, begin + timeline.width)
    seconds = min(timeline.width, max(ended - begin, 0.0))
    calls, gauges = call_rows(figures, FEW), gauge_rows(figures)
    return {"at": begin, "seconds": round(seconds, 3), "calls": calls, "gauges": gauges}
