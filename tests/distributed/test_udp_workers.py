"""UDP users in forked and in separate workers: our totals are what the server has received."""

import runpy
from pathlib import Path

import pytest

LOCUSTFILE = Path(__file__).with_name("udp_locustfile.py")
SERVER = Path(__file__).parents[1] / "adapters" / "socket" / "udp_server.py"
LOAD = ["-u", 6, "-r", 6, "-t", "3s", "--stop-timeout", 5, "--headless", "--only-summary"]


@pytest.fixture
def server():
    with runpy.run_path(str(SERVER))["DatagramServer"]() as server:
        yield server


def assert_equal(rows, server, eventually):
    expected = {"connect": 6, "request": 300, "send": 300}
    assert rows == {**expected, "cancelled": 0, "failed": 0, "missing": 0}
    eventually(lambda: server.received() == 600, "the last datagram")
    assert server.peers() == 6


def test_forked_workers(locusts, finish, eventually, server):
    finish(locusts.start(*LOAD, "--processes", 2, locustfile=LOCUSTFILE, ECHO=server.url))
    assert_equal(locusts.results(), server, eventually)


def test_a_master_with_two_separate_workers(locusts, finish, eventually, server):
    environment = {"locustfile": LOCUSTFILE, "ECHO": server.url}
    master = locusts.master(2, *LOAD, **environment)
    workers = [locusts.worker(**environment) for _ in range(2)]
    for process in (master, *workers):
        finish(process)
    assert_equal(locusts.results(), server, eventually)
