"""The WebSocket part of ``protouser demo``: one user asks, another is told without asking."""

from __future__ import annotations

from locust import User, constant_throughput, task

from collections.abc import Mapping, Sequence
from pathlib import Path

from protouser.demo import Part
from protouser_websocket import WebSocketUser

__all__ = ["PART"]


class WebSocketEchoUser(WebSocketUser):
    """Keeps one connection, and sends a message on it that has to come back."""

    wait_time = constant_throughput(20)

    @task
    def echo(self) -> None:
        """A row "echo", from sending to the arrival of the reply."""
        self.client.request("hello", name="echo", check=lambda reply: reply == "hello")


class WebSocketTickUser(WebSocketUser):
    """Hears what the server says on its own."""

    @task
    def tick(self) -> None:
        """A row "tick": counted, without a response time, since nobody asked."""
        self.client.receive(name="tick", check=lambda message: message.startswith("tick "))


def _users(addresses: Mapping[str, str]) -> Sequence[type[User]]:
    WebSocketEchoUser.host = addresses["echo"]
    WebSocketTickUser.host = addresses["ticks"]
    return [WebSocketEchoUser, WebSocketTickUser]


PART = Part(
    _users, server=Path(__file__).with_name("_demo_server.py"), floor=WebSocketEchoUser.echo
)
