"""The gRPC part of ``protouser demo``: users of a greeter that they know by reflection."""

from __future__ import annotations

from locust import User, constant_throughput, task

from collections.abc import Mapping, Sequence
from pathlib import Path

from protouser.demo import Part
from protouser_grpc import GrpcUser

__all__ = ["PART"]


class GreeterUser(GrpcUser):
    """Calls a greeter, and talks with it in streams; no generated code is needed."""

    wait_time = constant_throughput(20)

    @task(3)
    def hello(self) -> None:
        """A row "demo.Greeter/Hello"."""
        self.client.call(
            "demo.Greeter/Hello",
            {"name": "you"},
            check=lambda reply: reply.message == "Hello, you",
        )

    @task(1)
    def talk(self) -> None:
        """A row "demo.Greeter/Talk", from the begin of the stream to its end."""
        with self.client.stream("demo.Greeter/Talk") as stream:
            for text in ("good morning", "and good night"):
                stream.send({"text": text})
                stream.receive(timeout=2)
            stream.done_writing()


def _users(addresses: Mapping[str, str]) -> Sequence[type[User]]:
    GreeterUser.host = addresses["greeter"]
    return [GreeterUser]


PART = Part(_users, server=Path(__file__).with_name("_demo_server.py"), floor=GreeterUser.hello)
