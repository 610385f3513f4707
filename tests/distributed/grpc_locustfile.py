"""Users of a gRPC greeter; what was measured is written as JSON at the end."""

from locust import constant, events, task
from locust.exception import StopUser
from locust.runners import WorkerRunner

import json
import os

from protouser import attach
from protouser_grpc import GrpcUser

HELLO = "test.Greeter/SayHello"


class Greeting(GrpcUser):
    host = os.environ["GREETER"]
    wait_time = constant(0.005)
    rounds = 0

    @task
    def hello(self):
        self.client.call(HELLO, {"name": "you"}, check=lambda one: one.message == "Hello, you")
        self.rounds += 1
        if self.rounds == 100:
            raise StopUser  # by itself, so that the end of the test cuts no call short


def write(session):
    figures = session.results()
    rows = {name: figures.outcome("grpc", name, "success") for name in ("connect", HELLO)}
    rows["missing"] = len(session.missing)
    rows["cancelled"] = figures.total("cancelled")
    rows["failed"] = figures.total("failure")
    with open(os.environ["RESULTS"], "w") as file:
        json.dump(rows, file)


@events.init.add_listener
def _write_at_the_end(environment, **_):
    if not isinstance(environment.runner, WorkerRunner):
        environment.events.quit.add_listener(lambda exit_code, **_: write(attach(environment)))
