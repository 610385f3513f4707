"""Calls on grpc.aio's own lower layer, where that is as we know it.

A call object of ``grpc.aio`` makes a task, a metadata object and several callbacks, which together
cost a third of a short call. What it does with the layer below is one coroutine. The names are
private; a test pins them, and where they are missing the public call objects are used.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

import grpc

from protouser_grpc._engines._status import metadata_of
from protouser_grpc._outcome import Status

__all__ = ["cancel_stream", "direct_channel", "direct_status", "direct_stream", "new_call"]

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_METHODS: Final = ("unary_unary", "cancel", "_status", "_initial_metadata")


def direct_channel(channel: Any) -> Any:
    """The lower layer of a channel of grpc.aio; None where it is not as we know it."""
    lower = getattr(channel, "_channel", None)
    call = getattr(importlib.import_module("grpc._cython.cygrpc"), "_AioCall", None)
    known = all(hasattr(call, name) for name in _METHODS) and hasattr(lower, "call")
    return lower if known and _deadline is not None else None


def new_call(lower: Any, path: bytes, timeout: float | None, wait_for_ready: bool | None) -> Any:
    """A call object of the lower layer, with ``unary_unary(request, metadata)``."""
    return lower.call(path, _deadline(timeout), None, wait_for_ready)


def direct_status(call: Any, metadata: bool = True) -> Status:
    """How a call object of the lower layer ended."""
    status = call._status
    initial = metadata_of(call._initial_metadata) if metadata else ()
    trailing = metadata_of(status.trailing_metadata()) if metadata else ()
    return Status(
        _CODES.get(status.code(), grpc.StatusCode.UNKNOWN),
        status.details() or "",
        initial,
        trailing,
        status.debug_error_string() or "",
    )


def direct_stream(call: Any) -> tuple[Any, Any]:
    """How to read a stream after its first message, and to write one that has begun.

    A write that fails because the server has ended the call is told as INTERNAL by the call
    object, which hides the status that the server gave; the lower layer keeps that.
    """
    lower = getattr(call, "_cython_call", call)
    return (
        getattr(lower, "receive_serialized_message", call.read),
        getattr(lower, "send_serialized_message", call.write),
    )


def cancel_stream(call: Any) -> None:
    """Cancel a stream, which may not have begun; its tasks come to their end by themselves.

    The call object would cancel them, and leave a cycle behind that keeps the poller alive.
    """
    lower = getattr(call, "_cython_call", None)
    if lower is None or not hasattr(lower, "cancel"):
        call.cancel()
    elif not lower.done():
        lower.cancel("cancelled by this side")


_deadline: Final[Any] = getattr(
    importlib.import_module("grpc.aio._utils"), "_timeout_to_deadline", None
)
