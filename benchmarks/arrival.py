"""How exactly tasks start: planned against started, and how late, from 10 to 5,000 per second.

    python benchmarks/arrival.py            30 s each, in one process and over two workers
    python benchmarks/arrival.py 5 --one    5 s each, in one process

Calls are of an echo server in a process of its own. CPU is that of all the load's processes, with
what they use for starting; users are added and removed while the load runs, and what they were
doing then was started and is cancelled.
"""

import locust  # first: it patches the standard library for gevent
from locust import LoadTestShape, events, task
from locust.runners import WorkerRunner

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from protouser import arrival_rate, attach
from protouser._schedule import schedules
from protouser.testing import ScriptedServer
from protouser_socket import TcpUser

RATES = (10, 100, 1000, 5000)
SECONDS = float(os.environ.get("SECONDS", "30"))
RATE = os.environ.get("RATE", "10")
RAMP = 0.2  # at a rate of none at first, nothing starts before all users are there


class Echo(TcpUser):
    host = os.environ.get("ECHO", "tcp://127.0.0.1:1")
    wait_time = arrival_rate(("0/s", f"{RATE}/s", RAMP), (f"{RATE}/s", SECONDS - RAMP / 2))

    @task
    def echo(self):
        self.client.request(b"hello")


class ComeAndGo(LoadTestShape):
    """Users are added and removed, every two seconds."""

    def tick(self):
        return (40 if self.get_run_time() // 2 % 2 else 60), 100


@events.init.add_listener
def _write_at_the_end(environment, **_):
    @environment.events.quit.add_listener
    def write(exit_code, **_):
        if isinstance(environment.runner, WorkerRunner):
            return
        figures = attach(environment).results()
        lag = figures.timed["schedule", "Echo", "scheduler lag", "success"]
        (schedule,) = schedules(figures)
        late = [lag.percentile(share) / 1e6 for share in (0.5, 0.99)]
        with open(os.environ["RESULTS"], "w") as file:
            json.dump({**schedule, "lag": late}, file)


def measure(rate, seconds, workers):
    """One run, as a line of a table."""
    with ScriptedServer("echo") as server, tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        port = 21_000 + os.getpid() % 1000
        command = [sys.executable, "-m", "locust", "-f", __file__, "--headless", "--only-summary"]
        if workers > 1:
            ports = ["--master-bind-port", str(port), "--master-port", str(port)]
            command += ["--processes", str(workers), *ports]
        values = {"RATE": rate, "SECONDS": seconds, "ECHO": server.url, "RESULTS": results}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            command,
            env={**os.environ, **{name: str(value) for name, value in values.items()}},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
            timeout=seconds + 30,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = json.loads(results.read_text())
    cpu = sum(after[:2]) - sum(before[:2])
    planned, started = round(rate * seconds), found["started"]
    lag = "  ".join(f"{each:8.3f}" for each in found["lag"])
    off = (started - planned) / planned
    share = cpu / seconds
    print(
        f"{rate:6,}/s  {workers} worker(s)  planned {planned:8,}  started {started:8,}  {off:+7.2%}"
        f"  late by {lag} ms (p50, p99)  CPU {share:5.0%}",
        flush=True,
    )


if __name__ == "__main__":
    assert locust
    given = [float(word) for word in sys.argv[1:] if word != "--one"]
    for workers in (1,) if "--one" in sys.argv else (1, 2):
        for rate in RATES:
            measure(rate, given[0] if given else 30, workers)
