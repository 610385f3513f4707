"""Data in the web UI: the tab, the end of the data, and the same data when started again."""

import re
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from .test_web_ui import get, post, stats

COUNT = 60
LOCUSTFILE = Path(__file__).with_name("feeder_web_locustfile.py")


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
def test_a_test_that_is_started_again_reads_the_data_again(
    locusts, finish, eventually, processes, tmp_path
):
    (tmp_path / "data.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(COUNT)))
    options = ["--web-host", "127.0.0.1", "--web-port", locusts.port, *processes]
    process = locusts.start(*options, locustfile=LOCUSTFILE)
    url = f"http://127.0.0.1:{locusts.port}"
    eventually(lambda: _ready(url, len(processes)), "the web interface and its workers")
    for times in (1, 2):
        assert post(f"{url}/swarm", user_count=4, spawn_rate=4)["success"]
        eventually(lambda whole=COUNT * times: len(_got(tmp_path)) == whole, "the rows")
        eventually(lambda: stats(url)["state"] == "stopped", "the end of the test with its data")
        assert Counter(_got(tmp_path)) == dict.fromkeys(range(COUNT), times)
        eventually(lambda: _tab(url)["handed_out"] == COUNT, "the count in the tab")
        (row,) = get(f"{url}/protouser/results")["feeders"]
        assert row == _tab(url)
    with urllib.request.urlopen(url, timeout=30) as page:
        assert '"title": "Feeders"' in page.read().decode()
    process.terminate()
    finish(process)
    log = process.log.read_text()
    assert not re.search(r"Traceback|ERROR", log)
    assert re.findall(r"^data.csv +60 +0 +0 +0 +0 ", log, re.M)


def _ready(url, distributed):
    try:
        state = stats(url)
    except OSError:
        return False
    return not distributed or len(state["workers"]) == 2


def _got(folder):
    return [int(n) for file in folder.glob("got-*") for n in file.read_text().split()]


def _tab(url):
    tabs = {tab["key"]: tab["data"] for tab in stats(url)["extended_stats"]}
    (row,) = tabs["protouser-feeders"] or [{"handed_out": 0}]
    return row
