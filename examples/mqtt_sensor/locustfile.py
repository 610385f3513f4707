"""Sensors that report over MQTT: QoS 0, 1 and 2, topic templates, a will, a subscription.

A message of QoS 1 or 2 is timed to its last acknowledgement; one of QoS 0 is counted. The row is
the topic's template, so that a thousand sensors are one row. Options of the client, such as
``keepalive`` or ``version = 5``, stand on the class.

Run it:

    python examples/mqtt_sensor/backend.py
    locust -f examples/mqtt_sensor/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

import itertools
import json

from protouser_mqtt import MqttUser, Will

numbers = itertools.count(1)


class Sensor(MqttUser):
    host = "mqtt://127.0.0.1:7108"
    timeout = 5.0
    keepalive = 30
    will = Will("status/sensor", b"gone", qos=1)
    wait_time = constant(0.05)

    def on_start(self) -> None:
        self.fields = {"id": next(numbers)}
        self.client.subscribe("settings/+", qos=1)

    @task(4)
    def report(self) -> None:
        payload = json.dumps({"celsius": 21.5})
        self.client.publish("sensors/{id}/temperature", payload, qos=1, fields=self.fields)

    @task(2)
    def beat(self) -> None:
        self.client.publish("sensors/{id}/alive", b"1", fields=self.fields)

    @task(1)
    def alarm(self) -> None:
        self.client.publish("sensors/{id}/alarm", b"too hot", qos=2, fields=self.fields)
