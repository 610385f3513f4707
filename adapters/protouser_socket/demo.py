"""The TCP and UDP parts of ``protouser demo``: users of servers that send everything back."""

from __future__ import annotations

from locust import User, constant_throughput, task

from collections.abc import Mapping, Sequence
from pathlib import Path

from protouser.demo import Part
from protouser_socket import TcpUser, UdpUser

__all__ = ["PART", "UDP_PART"]


class EchoUser(TcpUser):
    """Keeps one connection, and sends a line on it that has to come back."""

    wait_time = constant_throughput(20)

    @task
    def echo(self) -> None:
        """A row "echo", from sending to the arrival of the reply."""
        self.client.request(b"hello", name="echo", check=lambda reply: reply == b"hello")


class DatagramUser(UdpUser):
    """Sends datagrams from a port of its own: some are answered, others only counted."""

    wait_time = constant_throughput(20)

    @task(3)
    def echo(self) -> None:
        """A row "echo", from sending to the arrival of the reply."""
        self.client.request(b"hello", name="echo", check=lambda reply: reply == b"hello")

    @task
    def report(self) -> None:
        """A row "report", one-way: the server says nothing to what begins with a dash."""
        self.client.send(b"-12.5", name="report")


def _users(addresses: Mapping[str, str]) -> Sequence[type[User]]:
    EchoUser.host = addresses["echo"]
    return [EchoUser]


PART = Part(_users, server=Path(__file__).with_name("_demo_server.py"), floor=EchoUser.echo)


def _udp_users(addresses: Mapping[str, str]) -> Sequence[type[User]]:
    DatagramUser.host = addresses["echo"]
    return [DatagramUser]


UDP_PART = Part(
    _udp_users, server=Path(__file__).with_name("_demo_udp_server.py"), floor=DatagramUser.echo
)
