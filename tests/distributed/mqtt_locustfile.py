"""Users of an MQTT broker; what was measured is written as JSON at the end."""

from locust import constant, events, task
from locust.exception import StopUser
from locust.runners import WorkerRunner

import json
import os

from protouser import attach
from protouser_mqtt import MqttUser


class Sensor(MqttUser):
    host = os.environ["BROKER"]
    wait_time = constant(0.005)
    rounds = 0

    @task
    def report(self):
        self.client.publish("t/1", b"21.5", qos=1 + self.rounds % 2)
        self.rounds += 1
        if self.rounds == 100:
            raise StopUser  # by itself, so that the end of the test cuts no call short


def write(session):
    figures = session.results()
    rows = {name: figures.outcome("mqtt", name, "success") for name in ("connect", "publish t/1")}
    rows["missing"] = len(session.missing)
    rows["cancelled"] = figures.total("cancelled")
    rows["failed"] = figures.total("failure")
    with open(os.environ["RESULTS"], "w") as file:
        json.dump(rows, file)


@events.init.add_listener
def _write_at_the_end(environment, **_):
    if not isinstance(environment.runner, WorkerRunner):
        environment.events.quit.add_listener(lambda exit_code, **_: write(attach(environment)))
