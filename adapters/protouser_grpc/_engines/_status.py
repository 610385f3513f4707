"""The end of a call, from what grpc.aio says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import grpc

from protouser_grpc._engines._library import aio
from protouser_grpc._outcome import Metadata, Metadatum, Status

__all__ = ["CLOSED", "finished", "metadata_of", "status_of"]

CLOSED: Final = Status(grpc.StatusCode.CANCELLED, "the channel was closed")
_CANCELLED: Final = Status(grpc.StatusCode.CANCELLED, "cancelled by this side")


def metadata_of(pairs: Any) -> Metadata:
    """Metadata of grpc as plain pairs."""
    return tuple(Metadatum(key, value) for key, value in pairs) if pairs else ()


def status_of(error: BaseException) -> Status | None:
    """The status that an exception of grpc.aio carries; None for any other exception."""
    if isinstance(error, aio.AioRpcError):
        return Status(
            error.code(),
            error.details() or "",
            metadata_of(error.initial_metadata()),
            metadata_of(error.trailing_metadata()),
            error.debug_error_string() or "",
        )
    if isinstance(error, asyncio.CancelledError):
        return _CANCELLED
    if isinstance(error, aio.UsageError):
        return CLOSED
    return None


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that has nothing to wait for; None if it has."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    return None
