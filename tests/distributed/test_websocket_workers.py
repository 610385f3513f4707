"""WebSocket on several processes: our totals are what the server counted; nothing stays open."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

LOCUSTFILE = Path(__file__).with_name("websocket_locustfile.py")
SERVER = Path(__file__).parents[1] / "adapters" / "websocket" / "server.py"
LOAD = ["-u", 6, "-r", 6, "-t", "4s", "--stop-timeout", 5, "--headless", "--only-summary"]
USERS, ROUNDS = 6, 100


class Server:
    def __init__(self, process):
        address = f"127.0.0.1:{json.loads(process.stdout.readline())['ws']}"
        self.url, self._stats = f"ws://{address}/", f"http://{address}/stats"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def stats(self):
        with self._opener.open(self._stats, timeout=5) as answer:
            return json.load(answer)


@pytest.fixture
def server(eventually):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(SERVER)], text=True, **pipes) as process:
        server = Server(process)
        yield server
        eventually(lambda: server.stats()["open"] == 0, "the end of the last connection")
        process.stdin.close()
        process.wait(10)


def assert_equal(rows, server):
    expected = {"connect": USERS, "request": ROUNDS * USERS, "send": ROUNDS * USERS}
    assert rows == {**expected, "cancelled": 0, "failed": 0, "missing": 0}
    stats = server.stats()
    assert (stats["accepted"], stats["received"]) == (USERS, 2 * ROUNDS * USERS)


def test_two_forked_processes(locusts, finish, server):
    options = [*LOAD, "--processes", 2]
    finish(locusts.start(*options, locustfile=LOCUSTFILE, SERVER=server.url))
    assert_equal(locusts.results(), server)


def test_a_master_with_two_separate_workers(locusts, finish, server):
    environment = {"locustfile": LOCUSTFILE, "SERVER": server.url}
    master = locusts.master(2, *LOAD, **environment)
    workers = [locusts.worker(**environment) for _ in range(2)]
    finish(master)
    for worker in workers:
        finish(worker)
    assert_equal(locusts.results(), server)
