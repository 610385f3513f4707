"""A server that stalls: response times are those of everybody who would have come meanwhile.

Of the slots of D seconds those of the stall's T seconds wait for its end, the first for all of it
and the last for none, so a share q of all response times is at least T (1 - (1 - q) D / T): more by
what it then takes to catch up. How much more, the tasks write down.
"""

from locust import task

import gevent
import pytest

from protouser import arrival_rate, now
from protouser._schedule import schedules
from protouser.testing import ScriptedServer, load
from protouser_socket import TcpUser

pytestmark = pytest.mark.measures


def run(rate, seconds, stall, users=10, **options):
    """A load with a server that is frozen in the middle.

    Returns the figures, for how long the server stood still at the least, and when each task began
    and ended.
    """
    times = []
    with ScriptedServer("echo") as server:

        class Echo(TcpUser):
            host = server.url
            timeout = 30
            wait_time = arrival_rate((f"{rate}/s", f"{seconds}s"), **options)

            @task
            def echo(self):
                began = now()
                self.client.request(b"hello")
                times.append((began, now()))

        def freeze():
            gevent.sleep((seconds - stall) / 2)
            with server.frozen():
                began = now()
                gevent.sleep(stall)
                return now() - began

        freezing = gevent.spawn(freeze)
        results = load(Echo, users=users, seconds=seconds + 20)
        return results.figures, freezing.get(), sorted(times)


def response_times(times, rate):
    """In order of size, from when each task was due: one after the other, by the rate."""
    first = min(began - number / rate for number, (began, _) in enumerate(times))
    return sorted(ended - first - number / rate for number, (_, ended) in enumerate(times))


def least(share, seconds, stall):
    return stall * (1 - (1 - share) * seconds / stall)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "seconds", "stall"), [(200, 5, 1.0), (100, 4, 1.5), (500, 4, 0.8)]
)
def test_response_times_hold_the_wait_for_a_stalled_server(rate, seconds, stall):
    figures, stalled, times = run(rate, seconds, stall)
    (schedule,) = schedules(figures)
    assert schedule["planned"] == schedule["started"] == rate * seconds
    response = figures.timed["tcp", "request", "response", "success"]
    service = figures.timed["tcp", "request", "service", "success"]
    assert response.count == service.count == len(times) == rate * seconds
    written_down = response_times(times, rate)
    for share in (0.95, 0.99):
        found = response.percentile(share) / 1e9
        assert found == pytest.approx(written_down[int(share * len(times))], rel=0.05), share
        assert found > 0.97 * least(share, seconds, stalled), share
    # what a tool sees that asks only those who came: as many slow calls as there are users
    assert service.percentile(0.95) < 0.5 * response.percentile(0.95)


def test_what_a_stalled_server_keeps_from_starting_is_dropped_and_counted():
    figures, stalled, times = run(200, 2, 0.6, late="drop")
    (schedule,) = schedules(figures)
    assert schedule["planned"] == 400
    assert schedule["started"] + schedule["dropped"] == 400
    assert schedule["dropped"] >= 200 * stalled - 15
    assert figures.outcome("tcp", "request", "success") == schedule["started"] == len(times)
    # it works again when the server does
    assert schedule["started"] > 200
