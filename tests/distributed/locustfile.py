"""Users for the distributed tests; what was measured is written as JSON at the end."""

from locust import LoadTestShape, constant, events, task
from locust.runners import WorkerRunner

import json
import os
import signal

import gevent

from protouser import ProtocolUser, attach
from protouser._interrupts import DEFAULT

#: Who ends the test: a task, a shape, or nobody.
ENDS = os.environ.get("ENDS")
SECONDS = float(os.environ.get("OPERATION_SECONDS", "0.05"))
GOODBYE = float(os.environ.get("GOODBYE_SECONDS", "0"))


class Operator(ProtocolUser):
    protocol = "op"
    wait_time = constant(float(os.environ.get("WAIT_SECONDS", "0.01")))
    operations = 0

    @task
    def operate(self):
        with self.measure("operation"):
            if self.operations == 0:
                print("a user operates", flush=True)
            gevent.sleep(SECONDS)
        self.operations += 1

    def on_stop(self):
        if GOODBYE:
            with self.measure("goodbye"):
                gevent.sleep(GOODBYE)

    if ENDS == "task":

        @task
        def end(self):
            if self.operations > 4:
                self.environment.runner.quit()


@events.test_stopping.add_listener
def _say_so(environment, **_):
    if ENDS == "stopping":
        print("a test stops", flush=True)


def _say_when_interrupts_are_minded():
    while signal.getsignal(signal.SIGINT) is DEFAULT:
        gevent.sleep(0.01)
    print("interrupts are minded", flush=True)


if ENDS in ("shape stops", "shape goes on"):

    class StoppingShape(LoadTestShape):
        def tick(self):
            if self.runner.stats.total.num_requests < 4:
                return 4, 4
            if ENDS == "shape goes on":
                print("a shape goes on", flush=True)
                return 4, 4
            gevent.spawn(_say_when_interrupts_are_minded)
            return None


if ENDS == "shape goes on":

    @events.test_stopping.add_listener
    def _watch(environment, **_):
        gevent.spawn(_say_when_interrupts_are_minded)


if ENDS == "shape":

    class Shape(LoadTestShape):
        def tick(self):
            if self.runner.stats.total.num_requests > 4:
                self.runner.quit()
            return 4, 4


@events.init.add_listener
def _dump_at_the_end(environment, **_):
    @environment.events.quit.add_listener
    def dump(exit_code, **_):
        from locust.runners import WorkerRunner

        if isinstance(environment.runner, WorkerRunner):
            return
        session = attach(environment)
        figures = session.results()
        wire = {
            "rows": {
                name: {
                    outcome: figures.outcome(type_, name, outcome)
                    for outcome in ("success", "failure", "cancelled", "one_way")
                }
                for type_, name in figures.rows()
            },
            "missing": session.missing,
            "locust": {
                entry.name: [entry.num_requests, entry.num_failures]
                for entry in environment.stats.entries.values()
            },
        }
        with open(os.environ["RESULTS"], "w") as file:
            json.dump(wire, file)


if ENDS == "interrupted":

    @events.test_stop.add_listener
    def _interrupt_once(environment, **_):
        global ENDS
        if ENDS == "interrupted" and not isinstance(environment.runner, WorkerRunner):
            ENDS = None
            signal.raise_signal(signal.SIGINT)


if ENDS == "blocked":

    @task
    def block(self):
        print("a user blocks", flush=True)
        try:
            while True:
                pass
        except KeyboardInterrupt:
            print("a user was interrupted", flush=True)
            raise

    Operator.tasks = [block]
