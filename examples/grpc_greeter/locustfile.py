"""A gRPC server through generated stubs: all four kinds of calls, metadata, deadlines, checks.

The stubs are generated while this file is imported, which needs ``pip install grpcio-tools``. Code
that was generated before works just the same, and is what most projects have already; it has to be
made anew for each major version of protobuf, which is why none lies here:

    python -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. greeter.proto

Then ``import greeter_pb2 as messages, greeter_pb2_grpc as services`` is all that changes.

Run it:

    python examples/grpc_greeter/backend.py
    locust -f examples/grpc_greeter/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

import grpc

from protouser_grpc import GrpcError, GrpcUser

messages, services = grpc.protos_and_services("greeter.proto")
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def greets_you(reply) -> bool:
    return reply.message == "Hello, you"


class Greeter(GrpcUser):
    host = "grpc://127.0.0.1:50051"
    stub_class = services.GreeterStub
    timeout = 5.0  # the deadline of every call that names none
    wait_time = constant(0.05)

    @task(4)
    def hello(self) -> None:
        self.stub.SayHello(
            messages.HelloRequest(name="you"),
            timeout=1,
            metadata=[("token", "secret")],
            check=greets_you,
        )

    @task(1)
    def without_a_name(self) -> None:
        with self.stub.SayHello(
            messages.HelloRequest(),
            metadata=[("token", "secret")],
            name="SayHello without a name",
            catch_response=True,
        ) as call:
            if isinstance(call.error, GrpcError) and call.error.code() is INVALID:
                call.success()  # it is right to refuse that

    @task(2)
    def often(self) -> None:
        for reply in self.stub.SayHelloOften(messages.OftenRequest(name="you", times=3)):
            assert greets_you(reply)

    @task(2)
    def to_all(self) -> None:
        names = [messages.HelloRequest(name=name) for name in ("you", "me")]
        self.stub.SayHelloToAll(names, check=lambda reply: reply.message == "Hello, you and me")

    @task(2)
    def to_each(self) -> None:
        names = (messages.HelloRequest(name=name) for name in ("you", "me"))
        for _reply in self.stub.SayHelloToEach(names):
            pass  # each arrives as soon as its name was sent
