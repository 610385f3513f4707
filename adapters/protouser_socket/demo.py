"""The TCP part of ``protouser demo``: users of a server that sends every line back."""

from __future__ import annotations

from locust import User, constant_throughput, task

from collections.abc import Mapping, Sequence
from pathlib import Path

from protouser.demo import Part
from protouser_socket import TcpUser

__all__ = ["PART"]


class EchoUser(TcpUser):
    """Keeps one connection, and sends a line on it that has to come back."""

    wait_time = constant_throughput(20)

    @task
    def echo(self) -> None:
        """A row "echo", from sending to the arrival of the reply."""
        self.client.request(b"hello", name="echo", check=lambda reply: reply == b"hello")


def _users(addresses: Mapping[str, str]) -> Sequence[type[User]]:
    EchoUser.host = addresses["echo"]
    return [EchoUser]


PART = Part(_users, server=Path(__file__).with_name("_demo_server.py"))
