"""Devices that obey commands: methods marked with ``@on_message`` run beside the tasks.

Each user subscribes when it connects, and again after it had to come back. A command is a row
"message commands/+" without a response time; what the method does about it is measured as
anywhere. It may block: it has a greenlet of its own.

Run it:

    python examples/mqtt_commands/backend.py
    locust -f examples/mqtt_commands/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

import itertools

from protouser_mqtt import Message, MqttUser, on_message

numbers = itertools.count(1)


class Device(MqttUser):
    host = "mqtt://127.0.0.1:7109"
    timeout = 5.0
    wait_time = constant(0.2)

    def on_start(self) -> None:
        self.number = next(numbers)

    @on_message("commands/+")
    def obey(self, message: Message) -> None:
        self.client.publish(f"devices/{self.number}/ack", message.payload, qos=1, name="ack")

    @task
    def report(self) -> None:
        fields = {"number": self.number}
        self.client.publish("devices/{number}/state", b"ok", qos=1, fields=fields)
