"""A call as plain data, one JSON object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from protouser._excerpt import text_of
from protouser._figures import ONE_WAY, SUCCESS
from protouser.trace._text import as_text

if TYPE_CHECKING:
    from protouser._call import Call

__all__ = ["record_of"]

_LONGEST_TEXT: Final = 2_000
_LONGEST_REASON: Final = 500


def record_of(
    call: Call, outcome: str, reason: BaseException | None, user: int | None
) -> dict[str, Any]:
    """What a trace says of a finished call; durations in milliseconds, ``at`` in Unix time."""
    return {
        "at": round(call.started_at, 6),
        "user": None if call.user is None else f"{type(call.user).__name__} {user}",
        "type": str(call.type),
        "name": str(call.name),
        "outcome": ONE_WAY if call.one_way and outcome == SUCCESS else outcome,
        "reason": None if reason is None else as_text(text_of(reason), _LONGEST_REASON),
        "ms": None if call.seconds is None else _milliseconds(call.seconds),
        "series_ms": {str(name): _milliseconds(spent) for name, spent in call.series},
        "request": as_text(call.request, _LONGEST_TEXT),
        "request_length": call.request_length,
        "response": as_text(call.response, _LONGEST_TEXT),
        "response_length": call.response_length,
        "context": None if not call.context else as_text(call.context, _LONGEST_TEXT),
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 6)
