"""The standard interop cases of gRPC, our client against the Ruby server of the gRPC authors.

A program for a network namespace of its own, since that server listens on every address. It prints
one line of JSON: for each case what went wrong, if anything did, and the calls that were reported.
See https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md

Usage: interop.py FOLDER_OF_STUBS SERVER.RB ENGINE
"""

from __future__ import annotations

from locust.env import Environment

import contextlib
import fcntl
import importlib
import json
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import grpc

from protouser import attach
from protouser.testing import capture
from protouser_grpc import GrpcClient, GrpcError, GrpcTimeout

FOLDER, SERVER, ENGINE = sys.argv[1:]
grpc.__path__.append(f"{FOLDER}/grpc")  # the stubs are of the package grpc.testing
messages: Any = importlib.import_module("grpc.testing.messages_pb2")
services: Any = importlib.import_module("grpc.testing.test_pb2_grpc")
Empty: Any = importlib.import_module("grpc.testing.empty_pb2").Empty

PORT = 50051  # in a namespace of its own every port is free
WITHIN = 20.0
SERVICE = "grpc.testing.TestService"
INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
TRAILING = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")
CASES: dict[str, Callable[[GrpcClient], None]] = {}


def case(function: Callable[[GrpcClient], None]) -> None:
    CASES[function.__name__] = function


def stub(client: GrpcClient) -> Any:
    return services.TestServiceStub(client.channel)


def zeros(size: int) -> Any:
    return messages.Payload(body=bytes(size))


def wanted(*sizes: int) -> list[Any]:
    return [messages.ResponseParameters(size=size) for size in sizes]


def large_request() -> Any:
    return messages.SimpleRequest(response_size=314159, payload=zeros(271828))


def sized_request(theirs: int, ours: int) -> dict[str, Any]:
    return {"response_parameters": [{"size": theirs}], "payload": {"body": bytes(ours)}}


@contextlib.contextmanager
def refused(code: grpc.StatusCode, details: str | None = None) -> Iterator[None]:
    caught = None
    try:
        yield
    except GrpcError as error:
        caught = error
    assert caught is not None, f"{code} was not raised"
    assert caught.code() is code, caught
    assert details is None or caught.details() == details, repr(caught.details())


@case
def empty_unary(client):
    assert stub(client).EmptyCall(Empty()) == Empty()


@case
def large_unary(client):
    assert stub(client).UnaryCall(large_request()).payload == zeros(314159)


@case
def client_streaming(client):
    sizes = (27182, 8, 1828, 45904)
    requests = (messages.StreamingInputCallRequest(payload=zeros(size)) for size in sizes)
    assert stub(client).StreamingInputCall(requests).aggregated_payload_size == 74922


@case
def server_streaming(client):
    sizes = (31415, 9, 2653, 58979)
    request = messages.StreamingOutputCallRequest(response_parameters=wanted(*sizes))
    replies = stub(client).StreamingOutputCall(request)
    assert [len(reply.payload.body) for reply in replies] == list(sizes)


@case
def ping_pong(client):
    sizes = ((31415, 27182), (9, 8), (2653, 1828), (58979, 45904))
    with client.stream(f"{SERVICE}/FullDuplexCall") as stream:
        for theirs, ours in sizes:
            stream.send(sized_request(theirs, ours))
            assert len(stream.receive(timeout=WITHIN).payload.body) == theirs
        stream.done_writing()
    assert stream.code() is grpc.StatusCode.OK


@case
def empty_stream(client):
    assert list(stub(client).FullDuplexCall([])) == []


@case
def custom_metadata(client):
    metadata = (INITIAL, TRAILING)
    reply, call = stub(client).UnaryCall.with_call(large_request(), metadata=metadata)
    assert reply.payload == zeros(314159)
    assert INITIAL in call.initial_metadata()
    assert TRAILING in call.trailing_metadata()
    request = messages.StreamingOutputCallRequest(response_parameters=wanted(314159))
    stream = stub(client).FullDuplexCall([request], metadata=metadata)
    assert [reply.payload for reply in stream] == [zeros(314159)]
    assert INITIAL in stream.initial_metadata()
    assert TRAILING in stream.trailing_metadata()


def status_comes_back(client: GrpcClient, text: str) -> None:
    status = messages.EchoStatus(code=2, message=text)
    with refused(grpc.StatusCode.UNKNOWN, text):
        stub(client).UnaryCall(messages.SimpleRequest(response_status=status))
    request = messages.StreamingOutputCallRequest(response_status=status)
    with refused(grpc.StatusCode.UNKNOWN, text):
        list(stub(client).FullDuplexCall([request]))


@case
def status_code_and_message(client):
    status_comes_back(client, "test status message")


@case
def special_status_message(client):
    text = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    with refused(grpc.StatusCode.UNKNOWN, text):
        status = messages.EchoStatus(code=2, message=text)
        stub(client).UnaryCall(messages.SimpleRequest(response_status=status))


@case
def unimplemented_method(client):
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        stub(client).UnimplementedCall(Empty())


@case
def unimplemented_service(client):
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        services.UnimplementedServiceStub(client.channel).UnimplementedCall(Empty())


@case
def cancel_after_begin(client):
    with client.stream(f"{SERVICE}/StreamingInputCall") as stream:
        stream.cancel()
    until(lambda: stream.code() is grpc.StatusCode.CANCELLED)


@case
def cancel_after_first_response(client):
    with client.stream(f"{SERVICE}/FullDuplexCall") as stream:
        stream.send(sized_request(31415, 27182))
        assert len(stream.receive(timeout=WITHIN).payload.body) == 31415
        stream.cancel()
    until(lambda: stream.code() is grpc.StatusCode.CANCELLED)


@case
def timeout_on_sleeping_server(client):
    with (
        contextlib.suppress(GrpcTimeout),
        client.stream(f"{SERVICE}/FullDuplexCall", timeout=0.001) as stream,
    ):
        stream.send({"payload": {"body": bytes(27182)}})
        stream.receive(timeout=WITHIN)
    until(lambda: stream.code() is grpc.StatusCode.DEADLINE_EXCEEDED)


def until(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(WITHIN):
        while not condition():
            gevent.sleep(0.005)


def bring_up_loopback() -> None:
    """Without anything else beside it, which is what makes this place safe."""
    assert [name for _, name in socket.if_nameindex()] == ["lo"], "not a namespace of its own"
    get, put, up = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh22x", b"lo", 0)
        _, flags = struct.unpack("16sh22x", fcntl.ioctl(control, get, request))
        fcntl.ioctl(control, put, struct.pack("16sh22x", b"lo", flags | up))


def is_listening() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


@contextlib.contextmanager
def server() -> Iterator[None]:
    command = ["ruby", SERVER, "--port", str(PORT), "--use_tls", "false"]
    process = subprocess.Popen(command, stdout=sys.stderr)
    try:
        until(lambda: process.poll() is not None or is_listening())
        yield
    finally:
        process.kill()
        process.wait()


def run(client: GrpcClient, reports: list[Any]) -> Iterator[dict[str, Any]]:
    """Every case, and what it reported."""
    for name, function in CASES.items():
        del reports[:]
        problem = None
        try:
            with gevent.Timeout(WITHIN):
                function(client)
        except BaseException:
            problem = traceback.format_exc()
        yield {"case": name, "problem": problem, "reports": list(map(described, reports))}


def described(report: Any) -> dict[str, Any]:
    error = report.exception
    return {
        "row": [report.request_type, report.name],
        "error": None if error is None else type(error).__name__,
        "code": error.code().name if isinstance(error, GrpcError) else None,
        "timed": report.response_time is not None and report.response_time > 0,
        "length": report.response_length,
    }


def main() -> None:
    bring_up_loopback()
    environment = Environment()
    options = {"engine": ENGINE, "schema": f"{FOLDER}/test.binpb", "timeout": WITHIN}
    url = f"grpc://127.0.0.1:{PORT}"
    with server(), capture(environment) as reports:
        client = GrpcClient(url, session=attach(environment), **options)
        with client.open():
            print(json.dumps(list(run(client, reports))))


if __name__ == "__main__":
    main()
