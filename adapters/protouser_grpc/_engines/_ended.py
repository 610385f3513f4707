"""What a stream's end looks like to who still reads or writes."""

from __future__ import annotations

from protouser import ConnectionLost, ProtouserError
from protouser_grpc._outcome import Status

__all__ = ["EndOfStream", "ended_error"]


class EndOfStream(ProtouserError):
    """The server has ended the stream with OK; told to the reader of the inbox."""


def ended_error(status: Status, timeout: float | None) -> ProtouserError:
    """The error of a message that is sent after the end."""
    if status.ok:
        return ConnectionLost("the server has ended the stream with OK; it takes no more messages")
    return status.error(timeout)
