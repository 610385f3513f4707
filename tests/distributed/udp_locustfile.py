"""Users of a UDP echo server; what was measured is written as JSON at the end."""

from locust import constant, events, task
from locust.exception import StopUser
from locust.runners import WorkerRunner

import json
import os

from protouser import attach
from protouser_socket import UdpUser


class Datagrams(UdpUser):
    host = os.environ["ECHO"]
    timeout = 60
    wait_time = constant(0.005)
    rounds = 0

    @task
    def echo(self):
        self.client.request(b"hello", check=lambda reply: reply == b"hello")
        self.client.send(b"quiet")
        self.rounds += 1
        if self.rounds == 50:
            raise StopUser  # by itself, so that the end of the test cuts no call short


def write(session):
    figures = session.results()
    rows = {name: figures.outcome("udp", name, "success") for name in ("connect", "request")}
    rows["send"] = figures.outcome("udp", "send", "one_way")
    rows["missing"] = len(session.missing)
    rows["cancelled"] = figures.total("cancelled")
    rows["failed"] = figures.total("failure")
    with open(os.environ["RESULTS"], "w") as file:
        json.dump(rows, file)


@events.init.add_listener
def _write_at_the_end(environment, **_):
    if not isinstance(environment.runner, WorkerRunner):
        environment.events.quit.add_listener(lambda exit_code, **_: write(attach(environment)))
