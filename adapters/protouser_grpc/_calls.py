"""Calls on a channel that make their caller wait to the end."""

from __future__ import annotations

import grpc

from protouser import Call
from protouser_grpc._engines import EngineChannel, EngineStream
from protouser_grpc._feeder import Feeder
from protouser_grpc._method import Method
from protouser_grpc._options import Terms
from protouser_grpc._outcome import Status

__all__ = ["ask", "collect"]


def ask(channel: EngineChannel, terms: Terms, path: str, requests: list[bytes]) -> list[bytes]:
    """All answers to some requests in one streaming call, which nobody measures."""
    stream = channel.stream(path, terms)
    answers = []
    try:
        for request in requests:
            stream.send(request, terms.timeout)
        stream.done_writing()
        while (found := stream.receive()) is not None:
            answers.append(found[0])
    finally:
        stream.cancel()
    return answers


def collect(stream: EngineStream, method: Method, terms: Terms, call: Call) -> tuple[bytes, Status]:
    """Send all requests of a call; its one answer, and how it ended.

    Raises:
        GrpcError: it ended with another status than OK, or not with one answer.
    """
    feeder = None
    try:
        feeder = Feeder(stream, method.encode, call.request.payload, terms.timeout)
        found = stream.receive()
        more = None if found is None else stream.receive()
    except grpc.RpcError:
        call.stop(stream.ended_at)
        if feeder is not None and feeder.error is not None:
            raise feeder.error from None
        raise
    finally:
        stream.cancel()
        if feeder is not None:
            feeder.stop()
    if found is None or more is not None or stream.status is None:
        raise Status(grpc.StatusCode.INTERNAL, "the server sent not exactly one answer").error()
    call.stop(stream.ended_at)
    return found[0], stream.status
