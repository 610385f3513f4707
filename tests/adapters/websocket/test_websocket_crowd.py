"""Many users at once: they start, work, stop within their time, and nothing stays behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("crowd.py")
PATIENCE = 110  # seconds for all: to start, to work, to stop

pytestmark = pytest.mark.slow


def crowd(kind, users, url):
    command = [sys.executable, str(PROGRAM), kind, str(users), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "closing took longer" not in done.stderr, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_500_users_work_and_leave_nothing(server, until):
    seen = crowd("working", 500, server.url())
    stats = server.stats()
    assert seen["connects"] == stats["accepted"] == 500
    assert seen["failures"] == 0
    assert seen["left"] <= 0
    # the end of the test may cut one call of each user short after the server has seen it
    assert seen["requests"] <= stats["received"] <= seen["requests"] + 500
    assert seen["requests"] > 500
    until(lambda: server.stats()["open"] == 0)
    # 1001: a request was under way
    assert set(server.stats()["closed"]) <= {1000, 1001}


def test_1000_idle_users_in_one_process(server, until, capsys):
    before = server.stats()["accepted"]
    seen = crowd("idle", 1000, server.url())
    with capsys.disabled():
        print(
            f"\n1,000 idle WebSocket users: {seen['descriptors']:.2f} descriptors"
            f" and {seen['KiB']:.1f} KiB each"
        )
    assert seen["connects"] == server.stats()["accepted"] - before == 1000
    assert seen["failures"] == 0
    assert seen["left"] <= 0
    assert seen["descriptors"] == 1
    assert seen["KiB"] < 100
    until(lambda: server.stats()["open"] == 0)
