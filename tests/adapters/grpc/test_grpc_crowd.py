"""500 gRPC users in a process of their own: they start, work and stop, and nothing stays behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

CROWD = """
import sys
from locust import between, task
from protouser.testing import load
from protouser_grpc import GrpcUser

class Greeting(GrpcUser):
    host, connection, engine = sys.argv[1:4]
    wait_time = between(0.2, 0.8)
    close_timeout = 60

    @task
    def hello(self):
        self.client.call("test.Greeter/SayHello", {"name": "you"})
        greeted.add(self)

greeted = set()
all_have = lambda: len(greeted) == 500
results = load(Greeting, users=500, seconds=60, stop_timeout=30, until=all_have)
hello, connect = (results["grpc", name] for name in ("test.Greeter/SayHello", "connect"))
assert not results.errors, results.errors[:3]
print(hello.successes, connect.successes, hello.failures + connect.failures, hello.cancelled)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("connection", "engine"), [("per_user", "aio"), ("shared", "aio"), ("shared", "gevent")]
)
def test_five_hundred_users(greeter, connection, engine):
    before = greeter.stats()["by_method"].get("SayHello", 0)
    command = [sys.executable, "-c", CROWD, greeter.url, connection, engine]
    run = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert run.returncode == 0, run.stderr
    hello, connect, failures, cancelled = map(int, run.stdout.split())
    assert (connect, failures) == (500, 0)
    assert hello >= 500
    # Locust kills who waits between two tasks, and some have just begun the next one then
    assert cancelled <= 500
    stats = greeter.wait_for(lambda stats: (stats["active"], stats["connections"]) == (0, 0))
    assert hello <= stats["by_method"]["SayHello"] - before <= hello + cancelled
