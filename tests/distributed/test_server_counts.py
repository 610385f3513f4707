"""However Locust is run: our totals are what the server counted, and nothing stays connected."""

from locust.env import Environment

import subprocess
import sys
from pathlib import Path

import pytest

from protouser import attach
from protouser.testing import ScriptedServer, load
from protouser_socket import TcpUser

LOCUSTFILE = Path(__file__).with_name("echo_locustfile.py")
LOAD = ["-u", 6, "-r", 6, "--stop-timeout", 60, "--headless", "--only-summary"]


@pytest.fixture
def server(eventually):
    with ScriptedServer("echo") as server:
        yield server
        eventually(lambda: server.connections() == 0, "the end of the last connection")


def assert_equal(rows, server, users):
    expected = {"connect": users, "request": 100 * users}
    assert rows == {**expected, "cancelled": 0, "failed": 0, "missing": 0}
    assert (server.accepted(), server.received()) == (users, 100 * users)


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
def test_one_command(locusts, finish_when, server, processes):
    process = locusts.start(*LOAD, *processes, locustfile=LOCUSTFILE, ECHO=server.url)
    finish_when(process, lambda: server.received() == 600, "the last request")
    assert_equal(locusts.results(), server, 6)


def test_a_master_with_two_separate_workers(locusts, finish, finish_when, server):
    environment = {"locustfile": LOCUSTFILE, "ECHO": server.url}
    master = locusts.master(2, *LOAD, **environment)
    workers = [locusts.worker(**environment) for _ in range(2)]
    finish_when(master, lambda: server.received() == 600, "the last request")
    for worker in workers:
        finish(worker)
    assert_equal(locusts.results(), server, 6)


def test_a_single_user_for_a_debugger(locusts, server):
    environment = {"ECHO": server.url, "RESULTS": str(locusts.results_file), "PATH": "/usr/bin"}
    command = [sys.executable, str(LOCUSTFILE)]
    subprocess.run(command, check=True, env=environment, timeout=200, capture_output=True)
    assert_equal(locusts.results(), server, 1)


class Echo(TcpUser):
    def on_start(self):
        for _ in range(100):
            self.client.request(b"hello")


def test_a_user_without_any_runner(server):
    user = type("Echo", (Echo,), {"host": server.url})(Environment())
    user.on_start()
    user.on_stop()
    figures = attach(user.environment).results()
    assert figures.outcome("tcp", "request", "success") == server.received() == 100


def test_a_load_inside_a_test(server):
    from locust import task

    class Load(Echo):
        host = server.url

        @task
        def echo(self):
            self.client.request(b"hello")

    def all_call():
        return server.accepted() == 10 and server.received() > 1200

    results = load(Load, users=10, seconds=60, stop_timeout=60, until=all_call)
    assert results["tcp", "request"].successes == server.received()
    assert results["tcp", "connect"].successes == server.accepted() == 10
    assert results.figures.total("cancelled") == results.figures.total("failure") == 0
