"""A crowd of UDP users: they start, work and stop, and nothing of them stays."""

from __future__ import annotations

import re

import pytest

CROWD = 500

LOCUSTFILE = """
    from locust import constant, events, task

    import os
    import time

    from protouser_socket import UdpUser

    began = time.perf_counter()

    class Datagrams(UdpUser):
        timeout = 5
        wait_time = constant(0.5)

        @task
        def echo(self):
            self.client.request(b"hello", check=lambda reply: reply == b"hello")

    def sockets():
        paths = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return sum(os.path.lexists(path) and "socket" in os.readlink(path) for path in paths)

    @events.test_stopping.add_listener
    def _at_full_strength(environment, **_):
        print("present:", environment.runner.user_count, "sockets:", sockets(), flush=True)

    @events.quit.add_listener
    def _at_the_end(**_):
        print("left:", sockets(), "seconds:", time.perf_counter() - began, flush=True)
"""


@pytest.mark.slow
def test_a_crowd_starts_works_and_stops(datagram_server, run_locust):
    with datagram_server() as server:
        load = ["-u", str(CROWD), "-r", "250", "-t", "6s", "--stop-timeout", "5", "--only-summary"]
        run = run_locust(LOCUSTFILE, *load, "--host", server.url)
        assert run.exit_code == 0, run.stderr
        rows = {row["name"]: row for row in run.stats}
        assert rows["connect"]["num_requests"] == CROWD
        assert rows["request"]["num_requests"] > 4 * CROWD
        assert sum(row["num_failures"] for row in run.stats) == 0
        # the end of the test may cut off one request of each user, which is no row of Locust's
        cut_off = server.received() - rows["request"]["num_requests"]
        assert 0 <= cut_off <= CROWD
        assert server.peers() == CROWD
    assert re.findall(r"present: (\d+) sockets: (\d+)", run.stdout) == [(f"{CROWD}", f"{CROWD}")]
    ((left, seconds),) = re.findall(r"left: (\d+) seconds: ([\d.]+)", run.stdout)
    assert (int(left), float(seconds) < 20) == (0, True)
