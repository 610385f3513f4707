"""The verdict on two workers names the one that was the bottleneck."""

import json
from pathlib import Path

LOCUSTFILE = Path(__file__).with_name("verdict_locustfile.py")


def test_the_worker_that_blocks_is_named(locusts, finish, eventually):
    options = ["-u", 4, "-r", 4, "-t", "4s", "--protouser-json", "all.json"]
    master = locusts.master(2, *options, locustfile=LOCUSTFILE)
    first = locusts.worker(locustfile=LOCUSTFILE)
    eventually(lambda: "1 workers connected" in master.log.read_text(), "the first worker")
    second = locusts.worker(locustfile=LOCUSTFILE, BLOCKS="1")
    output = finish(master)
    finish(first)
    finish(second)
    results = json.loads((locusts.folder / "all.json").read_text())
    blocked = [c for c in results["verdict"]["causes"] if "verdict_locustfile.py:" in c["text"]]
    assert {cause["worker"].partition(" on ")[0] for cause in blocked} == {"worker 1"}
    assert "client-limited: yes - " in output
    assert {row["worker"].partition(" on ")[0] for row in results["generator"]} == {
        *("worker 0", "worker 1")
    }
    assert {"generator.cpu.0", "generator.cpu.1"} <= results["gauges"].keys()
