"""A crowd of UDP users: they start, work and stop, and nothing of them stays."""

from __future__ import annotations

import re

import pytest

CROWD = 500

LOCUSTFILE = """
    from locust import constant, events, task

    import os
    from contextlib import suppress

    from protouser_socket import UdpUser

    class Datagrams(UdpUser):
        timeout = 60
        close_timeout = 60
        wait_time = constant(0.5)
        echoes = 0
        done = set()

        @task
        def echo(self):
            self.client.request(b"hello", check=lambda reply: reply == b"hello")
            self.echoes += 1
            if self.echoes == 5:
                self.done.add(self)
                if len(self.done) == self.environment.parsed_options.num_users:
                    present = self.environment.runner.user_count
                    print("present:", present, "sockets:", sockets(), flush=True)
                    self.spawn(self.environment.runner.quit)

    def sockets():
        links = []
        for number in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):  # the listing's own
                links.append(os.readlink(f"/proc/self/fd/{number}"))
        return sum(link.startswith("socket") for link in links)

    @events.quit.add_listener
    def _at_the_end(**_):
        print("left:", sockets(), flush=True)
"""


@pytest.mark.slow
def test_a_crowd_starts_works_and_stops(datagram_server, run_locust):
    with datagram_server() as server:
        load = ["-u", str(CROWD), "-r", "250", "-t", "90s", "--stop-timeout", "30"]
        run = run_locust(LOCUSTFILE, *load, "--only-summary", "--host", server.url, timeout=110)
        assert run.exit_code == 0, run.stderr
        rows = {row["name"]: row for row in run.stats}
        assert rows["connect"]["num_requests"] == CROWD
        assert rows["request"]["num_requests"] >= 5 * CROWD
        assert sum(row["num_failures"] for row in run.stats) == 0
        # the end of the test may cut off one request of each user, which is no row of Locust's
        cut_off = server.received() - rows["request"]["num_requests"]
        assert 0 <= cut_off <= CROWD
        assert server.peers() == CROWD
    assert re.findall(r"present: (\d+) sockets: (\d+)", run.stdout) == [(f"{CROWD}", f"{CROWD}")]
    assert re.findall(r"left: (\d+)", run.stdout) == ["0"]
