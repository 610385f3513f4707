"""However Locust is run: our totals of gRPC calls are what the server counted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOCUSTFILE = Path(__file__).with_name("grpc_locustfile.py")
SERVER = Path(__file__).parents[1] / "adapters" / "grpc" / "servers" / "greeter.py"
HELLO = "test.Greeter/SayHello"
LOAD = ["-u", 6, "-r", 6, "--stop-timeout", 60, "--headless", "--only-summary"]


class Greeter:
    def __init__(self, process):
        self.process = process
        self.url = f"grpc://127.0.0.1:{process.stdout.readline().strip()}"

    def stats(self):
        self.process.stdin.write("stats\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def called(self):
        return self.stats()["by_method"].get("SayHello", 0)


@pytest.fixture
def greeter(eventually):
    command = [sys.executable, str(SERVER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        greeter = Greeter(process)
        yield greeter
        eventually(lambda: greeter.stats()["connections"] == 0, "the end of the last connection")
        process.stdin.close()
        process.kill()


def assert_equal(rows, greeter, users):
    expected = {"connect": users, HELLO: 100 * users}
    assert rows == {**expected, "cancelled": 0, "failed": 0, "missing": 0}
    assert greeter.stats()["by_method"] == {"SayHello": 100 * users}


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
def test_one_command(locusts, finish_when, greeter, processes):
    process = locusts.start(*LOAD, *processes, locustfile=LOCUSTFILE, GREETER=greeter.url)
    finish_when(process, lambda: greeter.called() == 600, "the last call")
    assert_equal(locusts.results(), greeter, 6)


def test_a_master_with_two_separate_workers(locusts, finish, finish_when, greeter):
    environment = {"locustfile": LOCUSTFILE, "GREETER": greeter.url}
    master = locusts.master(2, *LOAD, **environment)
    workers = [locusts.worker(**environment) for _ in range(2)]
    finish_when(master, lambda: greeter.called() == 600, "the last call")
    for worker in workers:
        finish(worker)
    assert_equal(locusts.results(), greeter, 6)
