"""MQTT on several processes: our totals are what the broker counted; nothing stays open."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOCUSTFILE = Path(__file__).with_name("mqtt_locustfile.py")
BROKER = Path(__file__).parents[1] / "adapters" / "mqtt" / "broker_program.py"
LOAD = ["-u", 6, "-r", 6, "--stop-timeout", 60, "--headless", "--only-summary"]
USERS, ROUNDS = 6, 100


class Broker:
    def __init__(self, process):
        self._process = process
        self.url = f"mqtt://127.0.0.1:{process.stdout.readline().strip()}"

    def seen(self):
        self._process.stdin.write("?\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@pytest.fixture
def broker(eventually):
    command = [sys.executable, "-I", "-S", str(BROKER), "{}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        broker = Broker(process)
        try:
            yield broker
            eventually(lambda: broker.seen()["open"] == 0, "the end of the last connection")
        finally:
            process.kill()


def assert_equal(rows, broker, eventually):
    expected = {"connect": USERS, "publish t/1": ROUNDS * USERS}
    assert rows == {**expected, "cancelled": 0, "failed": 0, "missing": 0}
    eventually(lambda: broker.seen()["open"] == 0, "the end of the last connection")
    seen = broker.seen()
    assert (seen["accepted"], seen["publishes"], seen["disconnects"]) == (
        USERS,
        ROUNDS * USERS,
        USERS,
    )


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
def test_one_command(locusts, finish_when, eventually, broker, processes):
    process = locusts.start(*LOAD, *processes, locustfile=LOCUSTFILE, BROKER=broker.url)
    finish_when(process, lambda: broker.seen()["publishes"] == ROUNDS * USERS, "the last message")
    assert_equal(locusts.results(), broker, eventually)


def test_a_master_with_two_separate_workers(locusts, finish, finish_when, eventually, broker):
    environment = {"locustfile": LOCUSTFILE, "BROKER": broker.url}
    master = locusts.master(2, *LOAD, **environment)
    workers = [locusts.worker(**environment) for _ in range(2)]
    finish_when(master, lambda: broker.seen()["publishes"] == ROUNDS * USERS, "the last message")
    for worker in workers:
        finish(worker)
    assert_equal(locusts.results(), broker, eventually)
