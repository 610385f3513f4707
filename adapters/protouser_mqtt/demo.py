"""The MQTT part of ``protouser demo``: sensors that report, and devices that obey commands."""

from __future__ import annotations

from locust import User, constant_throughput, task

from collections.abc import Mapping, Sequence
from pathlib import Path

from protouser.demo import Part
from protouser_mqtt import Message, MqttUser, on_message

__all__ = ["PART"]


class SensorUser(MqttUser):
    """Reports a temperature, and now and then sends a command."""

    wait_time = constant_throughput(20)

    @task(4)
    def report(self) -> None:
        """A row "publish rooms/{id}", to the broker's acknowledgement."""
        topic = "rooms/{id}"
        self.client.publish(topic, b"21.5", qos=1, fields={"id": id(self) % 100})

    @task(1)
    def command(self) -> None:
        """A row "publish cmd/on", without a response time."""
        self.client.publish("cmd/on", b"on")


class DeviceUser(MqttUser):
    """Listens: a row "message cmd/+" for each command, and one for the answer."""

    wait_time = constant_throughput(1)

    @on_message("cmd/+")
    def obey(self, message: Message) -> None:
        """Answer a command, whatever the user is doing."""
        self.client.publish("done/{id}", message.payload, fields={"id": id(self) % 100})

    @task
    def idle(self) -> None:
        """Nothing: a device waits for its commands."""


def _users(addresses: Mapping[str, str]) -> Sequence[type[User]]:
    SensorUser.host = DeviceUser.host = addresses["broker"]
    return [SensorUser, DeviceUser]


PART = Part(_users, server=Path(__file__).with_name("_demo_server.py"), floor=SensorUser.report)
