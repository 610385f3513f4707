"""WebSocket on several processes: our totals are what the server counted; nothing stays open."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

LOCUSTFILE = Path(__file__).with_name("websocket_locustfile.py")
SERVER = Path(__file__).parents[1] / "adapters" / "websocket" / "server.py"
LOAD = ["-u", 6, "-r", 6, "--stop-timeout", 60, "--headless", "--only-summary"]
USERS, ROUNDS = 6, 100


class Server:
    def __init__(self, process):
        address = f"127.0.0.1:{json.loads(process.stdout.readline())['ws']}"
        self.url, self._stats = f"ws://{address}/", f"http://{address}/stats"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def stats(self):
        with self._opener.open(self._stats, timeout=60) as answer:
            return json.load(answer)

    def has_all(self):
        return self.stats()["received"] == 2 * ROUNDS * USERS


@pytest.fixture
def server(eventually):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(SERVER)], text=True, **pipes) as process:
        server = Server(process)
        yield server
        eventually(lambda: server.stats()["open"] == 0, "the end of the last connection")
        process.stdin.close()
        process.wait(60)


def assert_equal(rows, server):
    expected = {"connect": USERS, "request": ROUNDS * USERS, "send": ROUNDS * USERS}
    assert rows == {**expected, "cancelled": 0, "failed": 0, "missing": 0}
    stats = server.stats()
    assert (stats["accepted"], stats["received"]) == (USERS, 2 * ROUNDS * USERS)


def test_two_forked_processes(locusts, finish_when, server):
    process = locusts.start(*LOAD, "--processes", 2, locustfile=LOCUSTFILE, SERVER=server.url)
    finish_when(process, server.has_all, "the last message")
    assert_equal(locusts.results(), server)


def test_a_master_with_two_separate_workers(locusts, finish, finish_when, server):
    environment = {"locustfile": LOCUSTFILE, "SERVER": server.url}
    master = locusts.master(2, *LOAD, **environment)
    workers = [locusts.worker(**environment) for _ in range(2)]
    finish_when(master, server.has_all, "the last message")
    for worker in workers:
        finish(worker)
    assert_equal(locusts.results(), server)
