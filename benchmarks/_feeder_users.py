"""Users that take rows as fast as they can, or at ``PACE`` rows a second and worker.

``SIDE`` is "ours", or "message": one row for one message, as distributors do that ask the master
each time. Each process writes into ``OUT`` what it did: a worker its rows and between which moments
it took them, the master its CPU time while the test ran.
"""

from locust import User, constant, events, task
from locust.runners import MasterRunner, WorkerRunner

import itertools
import json
import os
import time
from pathlib import Path

from gevent import getcurrent, sleep
from gevent.event import AsyncResult

from protouser import CsvFeeder

PACE = int(os.environ["PACE"])
BATCH = 100
rows = CsvFeeder(os.environ["DATA"]) if os.environ["SIDE"] == "ours" else None
did = {"rows": 0, "first": 0.0, "last": 0.0, "cpu": 0.0}
asked: dict[int, AsyncResult] = {}
numbers = itertools.count()


@events.init.add_listener
def listen(environment, runner, **_event):
    if isinstance(runner, MasterRunner):
        give = lambda environment, msg, **_: runner.send_message(  # noqa: E731
            "row", {"who": msg.data, "row": [str(next(numbers)), "x"]}, client_id=msg.node_id
        )
        runner.register_message("want", give)
    elif isinstance(runner, WorkerRunner):
        take = lambda environment, msg, **_: asked.pop(msg.data["who"]).set(msg.data["row"])  # noqa: E731
        runner.register_message("row", take)


@events.test_start.add_listener
def start(environment, **_event):
    did["cpu"] = time.process_time()
    did["first"] = time.monotonic()


@events.test_stop.add_listener
def stop(environment, **_event):
    did["cpu"] = time.process_time() - did["cpu"]
    if isinstance(environment.runner, MasterRunner):
        did["last"] = time.monotonic()
    kind = "master" if isinstance(environment.runner, MasterRunner) else "worker"
    Path(os.environ["OUT"], f"{kind}-{os.getpid()}").write_text(json.dumps(did))


class Taker(User):
    wait_time = constant(0)

    def one(self):
        if rows is not None:
            return next(rows)
        who = id(getcurrent())
        asked[who] = answer = AsyncResult()
        self.environment.runner.send_message("want", who)
        return answer.get(timeout=10)

    @task
    def take(self):
        if not did["rows"]:
            did["first"] = time.monotonic()
        for _ in range(BATCH):
            self.one()
            did["rows"] += 1
            did["last"] = time.monotonic()
        if PACE:
            ahead = did["rows"] / PACE - (time.monotonic() - did["first"])
            sleep(max(0, ahead))
        else:
            sleep(0)
