"""What is measured against what a server with known delays says of itself.

The server has a thread for each connection and logs from reading to writing. What the client adds
is its floor: the median of what it measured beside a server that answers at once.
"""

from __future__ import annotations

import locust  # noqa: F401  first: it patches the standard library for gevent
from locust import constant, task

import json
import subprocess
import sys
from contextlib import contextmanager
from math import ceil
from pathlib import Path

import pytest

from protouser.testing import load
from protouser_socket import TcpUser

#: For how long, of two seconds, percentiles bear that other processes had the processor.
KEPT = 0.005
SERVER = Path(__file__).with_name("delaying_server.py")


@contextmanager
def delays(kind, logged):
    process = subprocess.Popen(
        [sys.executable, str(SERVER), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield int(process.stdout.readline())
        process.stdin.close()
        logged += json.loads(process.stdout.readline())
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


def kept_waiting():
    """For how many seconds this thread wanted the processor in vain; Linux alone says."""
    file = Path("/proc/thread-self/schedstat")
    return int(file.read_text().split()[1]) / 1e9 if file.exists() else 0.0


def measured(kind, share):
    """What the client measured and what the server logged, in seconds, of 10 users."""
    logged: list[int] = []
    with delays(kind, logged) as port:

        class Caller(TcpUser):
            host = f"tcp://127.0.0.1:{port}"
            wait_time = constant(0.02)

            @task
            def call(self):
                self.client.request(b"x", name="call")

        before = kept_waiting()
        results = load(Caller, users=10, seconds=2, stop_timeout=1)
        kept = kept_waiting() - before
    row = results["tcp", "call"]
    assert row.failures == 0
    assert row.successes == len(logged) > 100
    logged.sort()
    own = [logged[ceil(each * len(logged)) - 1] / 1e9 for each in share]
    return [row.percentile(each) for each in share], own, kept


@pytest.fixture(scope="module")
def floor():
    (ours,), (own,), _ = measured("none", [0.5])
    return ours - own


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["constant", "bimodal", "long tail"])
def test_percentiles_are_the_servers_own(kind, floor):
    for _ in range(3):
        ours, own, kept = measured(kind, [0.5, 0.99])
        # less than the server says is a defect at any time
        assert all(ours[n] > own[n] * 0.99 for n in range(2)), (ours, own)
        if kept < KEPT:
            for n in range(2):
                assert abs(ours[n] - own[n] - floor) < max(0.05 * own[n], 3e-4), (ours, own, floor)
            return
    pytest.skip(f"other processes kept the processor from this one for {kept} s")
