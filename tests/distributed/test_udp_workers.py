"""UDP users in forked and in separate workers: our totals are what the server has received."""

import runpy
from pathlib import Path

import pytest

LOCUSTFILE = Path(__file__).with_name("udp_locustfile.py")
SERVER = Path(__file__).parents[1] / "adapters" / "socket" / "udp_server.py"
LOAD = ["-u", 6, "-r", 6, "--stop-timeout", 60, "--headless", "--only-summary"]


@pytest.fixture
def server():
    with runpy.run_path(str(SERVER))["DatagramServer"]() as server:
        yield server


def assert_equal(rows, server):
    expected = {"connect": 6, "request": 300, "send": 300}
    assert rows == {**expected, "cancelled": 0, "failed": 0, "missing": 0}
    assert (server.received(), server.peers()) == (600, 6)


def test_forked_workers(locusts, finish_when, server):
    process = locusts.start(*LOAD, "--processes", 2, locustfile=LOCUSTFILE, ECHO=server.url)
    finish_when(process, lambda: server.received() == 600, "the last datagram")
    assert_equal(locusts.results(), server)


def test_a_master_with_two_separate_workers(locusts, finish, finish_when, server):
    environment = {"locustfile": LOCUSTFILE, "ECHO": server.url}
    master = locusts.master(2, *LOAD, **environment)
    workers = [locusts.worker(**environment) for _ in range(2)]
    finish_when(master, lambda: server.received() == 600, "the last datagram")
    for worker in workers:
        finish(worker)
    assert_equal(locusts.results(), server)
