"""A server that stalls: response times are those of everybody who would have come meanwhile.

Of the slots of D seconds those of the stall's T seconds wait for its end, the first for all of it
and the last for none, so a share q of all response times is at most T (1 - (1 - q) D / T).
"""

from locust import task

import gevent
import pytest

from protouser import arrival_rate, now
from protouser._schedule import schedules
from protouser.testing import ScriptedServer, load
from protouser_socket import TcpUser


def run(rate, seconds, stall, users=20, **options):
    """A load with a server that is frozen in the middle; and for how long it was."""
    with ScriptedServer("echo") as server:

        class Echo(TcpUser):
            host = server.url
            timeout = 30
            wait_time = arrival_rate((f"{rate}/s", f"{seconds}s"), **options)

            @task
            def echo(self):
                self.client.request(b"hello")

        def freeze():
            gevent.sleep((seconds - stall) / 2)
            began = now()
            with server.frozen():
                gevent.sleep(stall)
            return now() - began

        freezing = gevent.spawn(freeze)
        results = load(Echo, users=users, seconds=seconds + 20)
        return results.figures, freezing.get()


def expected(share, seconds, stall):
    return stall * (1 - (1 - share) * seconds / stall)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "seconds", "stall"), [(200, 5, 1.0), (100, 4, 1.5), (500, 4, 0.8)]
)
def test_response_times_hold_the_wait_for_a_stalled_server(rate, seconds, stall):
    figures, stalled = run(rate, seconds, stall)
    (schedule,) = schedules(figures)
    assert schedule["planned"] == schedule["started"] == rate * seconds
    response = figures.timed["tcp", "request", "response", "success"]
    service = figures.timed["tcp", "request", "service", "success"]
    assert response.count == service.count == rate * seconds
    for share in (0.95, 0.99):
        found = response.percentile(share) / 1e9
        assert found == pytest.approx(expected(share, seconds, stalled), rel=0.03), share
    # what a tool sees that asks only those who came: twenty slow calls at most
    assert service.percentile(0.95) / 1e9 < 0.2 * expected(0.95, seconds, stalled)


def test_what_a_stalled_server_keeps_from_starting_is_dropped_and_counted():
    figures, stalled = run(200, 2, 0.6, users=10, late="drop")
    (schedule,) = schedules(figures)
    assert schedule["planned"] == 400
    assert schedule["started"] + schedule["dropped"] == 400
    assert schedule["dropped"] == pytest.approx(200 * stalled - 10, abs=25)
    assert figures.outcome("tcp", "request", "success") == schedule["started"]
