"""A call as plain data, one JSON object a line."""

from __future__ import annotations

from locust.exception import CatchResponseError

from typing import TYPE_CHECKING, Any, Final

from protouser._errors import ProtouserError
from protouser._excerpt import text_of
from protouser._figures import ONE_WAY, SUCCESS
from protouser.trace._asked import asked
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
    request, options = asked(call.request, _LONGEST_TEXT)
    return {
        "at": round(call.started_at, 6),
        "user": None if call.user is None else f"{type(call.user).__name__} {user or ''}".rstrip(),
        "transaction": _transaction_of(call),
        "type": str(call.type),
        "name": str(call.name),
        "to": getattr(call, "peer", None),
        "outcome": ONE_WAY if call.one_way and outcome == SUCCESS else outcome,
        "reason": None if reason is None else as_text(_words(reason), _LONGEST_REASON),
        "ms": None if call.seconds is None else _milliseconds(call.seconds),
        "series_ms": {str(name): _milliseconds(spent) for name, spent in call.series},
        "options": options,
        "request": request,
        "request_length": _length(call.request_length, call.request),
        "response": as_text(call.response, _LONGEST_TEXT),
        "response_length": _length(call.response_length, call.response),
        "context": None if not call.context else as_text(call.context, _LONGEST_TEXT),
    }


def _transaction_of(call: Call) -> str | None:
    transaction = None if call.user is None else call.user._transaction
    return None if transaction is None else str(transaction.call.name)


def _words(reason: BaseException) -> str:
    """Ours say what happened; of others the kind belongs to it, as of KeyError("item")."""
    text = text_of(reason)
    if isinstance(reason, ProtouserError | CatchResponseError):
        return text
    kind = type(reason).__name__
    return text if text.startswith(kind) else f"{kind}: {text}"


def _length(given: int | None, value: Any) -> int | None:
    return len(value) if given is None and isinstance(value, bytes) else given


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 6)
