"""Users for the distributed tests; what was measured is written as JSON at the end."""

from locust import constant, events, task

import json
import os

import gevent

from protouser import ProtocolUser, attach

SECONDS = float(os.environ.get("OPERATION_SECONDS", "0.05"))


class Operator(ProtocolUser):
    protocol = "op"
    wait_time = constant(0.01)

    @task
    def operate(self):
        with self.measure("operation"):
            gevent.sleep(SECONDS)


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
