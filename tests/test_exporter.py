"""What a Prometheus server gets, from figures and from a real run."""

import random
import socket
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from protouser import ConfigurationError
from protouser._figures import CANCELLED, FAILURE, SERVICE, SUCCESS, Figures
from protouser._results import EXPORTER, exposition

from .ports import free_port


def samples(text):
    """(name, labels) of every sample with its value; the labels without those of the bounds."""
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    ]


def test_every_call_is_in_its_bucket_and_in_the_count_of_its_outcome():
    figures, chance = Figures(), random.Random(5)
    times = [int(chance.lognormvariate(16, 3)) for _ in range(3000)]
    for time in times:
        figures.record("tcp", 'get "it"\n', SERVICE, SUCCESS, time)
    figures.record("tcp", 'get "it"\n', SERVICE, FAILURE, 7)
    figures.count("tcp", 'get "it"\n', CANCELLED)
    figures.add("udp", "ask", "lost", 3)
    found = samples(exposition(figures, 12))
    calls = {labels["outcome"]: value for name, labels, value in found if "calls" in name}
    assert {labels["name"] for name, labels, _ in found if "calls_total" in name} == {'get "it"\n'}
    assert calls == {"success": 3000, "failure": 1, "cancelled": 1}
    assert ("protouser_users", {}, 12) in found
    lost = {"type": "udp", "name": "ask", "counter": "lost"}
    assert ("protouser_events_total", lost, 3) in found
    buckets = {
        float(labels["le"]): value for name, labels, value in found if name.endswith("_bucket")
    }
    assert list(buckets.values()) == sorted(buckets.values())
    assert buckets[float("inf")] == 3000
    for bound, count in buckets.items():  # a value is known to 0.4 %
        nanoseconds = bound * 1e9
        assert sum(time <= nanoseconds * 0.995 for time in times) <= count
        assert count <= sum(time <= nanoseconds * 1.005 for time in times)
    (total,) = (value for name, _, value in found if name.endswith("_seconds_sum"))
    assert total == pytest.approx(sum(times) / 1e9)


@pytest.mark.parametrize("text", ["", "x", "1:2:x", "0", "65536", "localhost:"])
def test_what_is_no_address_is_said_before_the_test(text):
    with pytest.raises(ConfigurationError, match=r"is no \[HOST:\]PORT, such as 9646"):
        EXPORTER.check(text)


def test_without_a_host_this_machine_alone_may_ask():
    assert EXPORTER.check("9646") == "127.0.0.1:9646"
    assert EXPORTER.check("0.0.0.0:9646") == "0.0.0.0:9646"


def test_without_the_library_it_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r'pip install "protouser\[monitor\]"'):
        EXPORTER.check("9646")


WORKER = """
    from locust import constant, task
    from protouser import ProtocolUser

    class Worker(ProtocolUser):
        wait_time = constant(0.05)

        @task
        def work(self):
            with self.measure("work"):
                pass
"""


def test_the_master_tells_what_all_workers_did_while_they_do_it(run_locust):
    """The run asks itself: what it serves is what it monitors."""
    port = free_port()
    url = f"itself=http://127.0.0.1:{port}/metrics#protouser_users,sum(protouser_calls_total)"
    calls = "monitor.itself.sum(protouser_calls_total)/s"
    ended = run_locust(
        WORKER,
        *("-u", "4", "-r", "4", "-t", "8s", "--processes", "2"),
        *("--protouser-prometheus", str(port), "--protouser-monitor", url),
        *("--protouser-threshold", "monitor.itself.protouser_users: max < 5"),
        *("--protouser-threshold", f"{calls}: max > 40"),
    )
    assert ended.exit_code == 0, ended


def test_an_address_that_is_taken_is_an_error_before_the_test(run_locust):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_locust(WORKER, "-t", "5s", "--protouser-prometheus", str(port))
    assert ended.exit_code == 1
    said = f"protouser: --protouser-prometheus cannot listen on 127.0.0.1:{port}: "
    assert f"{said}Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
