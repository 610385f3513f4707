"""gRPC: client CPU per unary call against Locust's own example, and bidi streams per engine.

    python benchmarks/grpc_calls.py

Unary: the user of Locust's documentation (an interceptor that fires the request event, over
``init_gevent``, a channel per user, all of them on one connection) against ours on one connection.
Streams: each user holds one open and sends a message when the last one came back; the fallback
engine against the default one. The server only echoes, so that the client is the limit.
"""

from __future__ import annotations

from locust import User, task

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import _sides
import gevent
import grpc
from _sides import Comparison, Goal

from protouser_grpc import GrpcUser

PATH = "/test.Echo/Unary"
TALK = "/test.Echo/Talk"
PAYLOAD = b"x" * 22

SERVER = Path(__file__).with_name("_grpc_server.py")


class Interceptor(grpc.UnaryUnaryClientInterceptor):
    """As in Locust's documentation."""

    def __init__(self, environment):
        self.environment = environment

    def intercept_unary_unary(self, continuation, details, request):
        response, error, length = None, None, 0
        started = time.perf_counter()
        try:
            response = continuation(details, request)
            length = len(response.result())
        except grpc.RpcError as caught:
            error = caught
        self.environment.events.request.fire(
            request_type="grpc",
            name=details.method,
            response_time=(time.perf_counter() - started) * 1000,
            response_length=length,
            response=response,
            context=None,
            exception=error,
        )
        return response


def locust_example(url):
    import grpc.experimental.gevent

    grpc.experimental.gevent.init_gevent()

    class Example(User):
        def __init__(self, environment):
            super().__init__(environment)
            channel = grpc.insecure_channel(url.removeprefix("grpc://"))
            channel = grpc.intercept_channel(channel, Interceptor(environment))
            self.unary = channel.unary_unary(PATH)

        @task
        def call(self):
            self.unary(PAYLOAD)

    return Example


def ours(url, sharing="shared", kind="aio"):
    class Ours(GrpcUser):
        host = url
        connection = sharing
        engine = kind

        def on_start(self):
            self.unary = self.client.channel.unary_unary(PATH)

        @task
        def call(self):
            self.unary(PAYLOAD)

    return Ours


def talking(kind):
    def user(url):
        class Talking(GrpcUser):
            host = url
            connection = "shared"
            engine = kind
            timeout = 300.0

            def on_start(self):
                self.talk = self.client.channel.stream_stream(TALK)(self.requests())
                self.allowed = gevent.queue.SimpleQueue()

            def requests(self):
                while True:
                    yield self.allowed.get()

            @task
            def round_trip(self):
                with self.measure("round trip"):
                    self.allowed.put(PAYLOAD)
                    next(self.talk)

        return Talking

    return user


@contextlib.contextmanager
def serve():
    command = [sys.executable, str(SERVER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        yield server.stdout.readline().strip()
        server.kill()


COMPARISONS = [
    Comparison("unary", {"Locust's example": locust_example, "protouser": ours}, Goal("cpu", 0.55)),
    Comparison(
        "streams",
        {"engine gevent": talking("gevent"), "engine aio": talking("aio")},
        Goal("rate", 2.5),
        counted="round trip",
    ),
]

if __name__ == "__main__":
    _sides.main(COMPARISONS, serve)
