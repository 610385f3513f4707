"""A test that is started and stopped from the web UI, twice in one process."""

import re
import urllib.request

import pytest

from .web import get, post, press


def stats(url):
    return get(f"{url}/stats/requests")


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
def test_a_test_is_started_and_stopped_twice(locusts, finish, eventually, processes):
    options = ["--web-host", "127.0.0.1", "--web-port", locusts.port, *processes]
    process = locusts.start(*options, OPERATION_SECONDS="0.05")
    url = f"http://127.0.0.1:{locusts.port}"
    eventually(lambda: "Starting web interface" in process.log.read_text(), "the web interface")
    eventually(lambda: _ready(url, len(processes)), "the workers")
    for _round in range(2):
        assert post(f"{url}/swarm", user_count=4, spawn_rate=4)["success"]
        eventually(lambda: stats(url)["state"] == "running", "the start")
        eventually(lambda: _requests(url) > 20, "requests")
        if not processes:  # Locust itself leaves the workers' last seconds standing
            press(f"{url}/stats/reset")
            eventually(lambda: _requests(url) > 0, "requests after the reset")
        eventually(lambda: "operation" in _latency(url), "the row of the tab")
        assert get(f"{url}/protouser/results")["schema"] == 1
        press(f"{url}/stop")
        eventually(lambda: stats(url)["state"] == "stopped", "the stop")
        counted = _requests(url)
    with urllib.request.urlopen(url, timeout=30) as page:
        assert '"title": "Latency"' in page.read().decode()
    process.terminate()
    finish(process)
    assert locusts.results()["missing"] == []
    assert locusts.results()["rows"]["operation"]["success"] == counted
    assert not re.search(r"Traceback|ERROR", process.log.read_text())


def _ready(url, distributed):
    try:
        state = stats(url)
    except OSError:
        return False
    return not distributed or len(state["workers"]) == 2


def _requests(url):
    return sum(row["num_requests"] for row in stats(url)["stats"] if row["name"] == "operation")


def _latency(url):
    tabs = {tab["key"]: tab["data"] for tab in stats(url)["extended_stats"]}
    return [row["name"] for row in tabs["protouser-calls"]]
