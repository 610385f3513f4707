"""Users with a schedule; what became of it is written as JSON at the end."""

from locust import LoadTestShape, constant, events, task
from locust.runners import WorkerRunner

import json
import os

import gevent

from protouser import ProtocolUser, arrival_rate, attach
from protouser._schedule import schedules

STAGES = json.loads(os.environ.get("STAGES", "null"))


class Buyer(ProtocolUser):
    protocol = "shop"
    iterations = int(os.environ["ITERATIONS"]) if "ITERATIONS" in os.environ else None
    wait_time = arrival_rate(*map(tuple, STAGES)) if STAGES else constant(0)
    bought = False

    def on_start(self):
        if "ECHO" in os.environ:
            self.client = self.open(os.environ["ECHO"], timeout=30)

    @task
    def buy(self):
        if not self.bought:
            self.bought = True
            print("a user buys", flush=True)
        if "ECHO" in os.environ:
            self.client.request(b"hello", name="buy")
        else:
            with self.measure("buy"):
                gevent.sleep(float(os.environ.get("WORK", "0.002")))


if "GATE" in os.environ:  # a worker that comes later, and has everything but a master
    print("at the gate", flush=True)
    while not os.path.exists(os.environ["GATE"]):
        gevent.sleep(0.02)


if "COME_AND_GO" in os.environ:

    class ComeAndGo(LoadTestShape):
        """Users are added and removed every 0.7 seconds."""

        def tick(self):
            return (4, 10, 2, 7)[int(self.get_run_time() / 0.7) % 4], 50


@events.init.add_listener
def _write_at_the_end(environment, **_):
    @environment.events.quit.add_listener
    def write(exit_code, **_):
        if isinstance(environment.runner, WorkerRunner):
            return
        session = attach(environment)
        figures = session.results()
        timed = {
            f"{series} {percentile}": histogram.percentile(percentile / 100) / 1e9
            for (_, name, series, outcome), histogram in figures.timed.items()
            for percentile in (50, 95, 99)
            if name == "buy" and outcome == "success"
        }
        calls, cancelled = (
            sum(figures.outcome(type_, "buy", outcome) for type_ in ("shop", "tcp"))
            for outcome in ("success", "cancelled")
        )
        (schedule,) = schedules(figures)
        by_worker = [
            schedules(worker)[0]["started"] for worker in session.by_worker.values() if worker
        ]
        wire = {"schedule": schedule, "calls": calls, "cancelled": cancelled}
        wire |= {"workers": by_worker, **timed}
        with open(os.environ["RESULTS"], "w") as file:
            json.dump(wire, file)
