"""Hooks of the module and transactions, over two workers."""

import json
from pathlib import Path

USERS, ROUNDS = 4, 3
CALLS = USERS * ROUNDS


def test_hooks_of_the_module_run_on_each_worker_and_transactions_are_merged(locusts, finish_when):
    process = locusts.start(
        *("--headless", "--only-summary", "-u", USERS, "-r", USERS),
        *("--processes", 2, "--protouser-json", "ours.json"),
        locustfile=Path(__file__).with_name("hooks_locustfile.py"),
    )

    def all_have_bought():
        return process.log.read_text().count("a user has bought") == USERS

    finish_when(process, all_have_bought, "the end", 1)  # Locust's word for a run with failures
    results = json.loads((locusts.folder / "ours.json").read_text())
    counts = {
        (row["name"], row["series"], row["outcome"]): row["count"] for row in results["calls"]
    }
    failed = USERS
    assert counts == {
        ("add", "service", "success"): CALLS,
        **two_outcomes("paid", "service", failed),
        **two_outcomes("paid", "hooks", failed),
        **two_outcomes("checkout", "service", failed),
        **two_outcomes("checkout", "calls", failed),
    }
    # the slowest of all workers: two calls of 20 ms, and 10 ms of a hook between them
    assert slowest(results, "checkout", "service") >= 50_000_000
    assert slowest(results, "checkout", "calls") >= 40_000_000
    counters = {row["counter"]: row["value"] for row in results["counters"]}
    assert counters.pop("hooked") == CALLS
    assert sorted(counters.values()) == [CALLS // 2, CALLS // 2], "one worker each"


def two_outcomes(name, series, failed):
    return {(name, series, "failure"): failed, (name, series, "success"): CALLS - failed}


def slowest(results, name, series):
    return max(
        row["max_ns"] for row in results["calls"] if (row["name"], row["series"]) == (name, series)
    )
