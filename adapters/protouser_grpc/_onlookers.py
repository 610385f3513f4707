"""The messages of a stream, shown to the ``@on_message`` functions of its user."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from protouser import MalformedMessage
from protouser_grpc._method import Method
from protouser_grpc._stream import GrpcStream

if TYPE_CHECKING:
    from protouser_grpc._client import GrpcClient

__all__ = ["show_messages"]


def show_messages(client: GrpcClient, method: Method, stream: GrpcStream) -> None:
    """Have a stream show its messages; decoded once more, for such functions only."""
    read = stream.source.inbox
    inbox = read.stream.inbox
    inbox.listener = partial(_show, client, method)
    if client.handlers.overhear:
        inbox.on_passed = read.note  # it was a message of the stream, though nobody read it


def _show(client: GrpcClient, method: Method, data: bytes, at: float) -> bool:
    """True when a function takes the message. In the hub, where nothing may be raised."""
    try:
        message = method.decode(data)
    except MalformedMessage as error:  # who reads it fails by it
        client.measure(method.row).count("malformed messages")
        text = f"a message of {method.row} for @on_message (the functions do not get it)"
        client.session.complain_once(("on_message", method.path), text, error)
        return False
    return client.handlers.offer(message, at)
