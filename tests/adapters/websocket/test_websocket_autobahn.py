"""Autobahn's cases, by kosoku, against the adapter itself: all that a client must do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from gevent.pool import Pool

from protouser import ConnectionLost, ProtouserError
from protouser_websocket import WebSocketClient

PROGRAM = Path(__file__).with_name("kosoku_server.py")
PATIENCE = 20.0
CASES = 247
AT_ONCE = 8


class OneConnection(WebSocketClient):
    """A case is one connection."""

    def reopen(self):
        raise ConnectionLost("the case is over")


@pytest.fixture
def fuzzer():
    with subprocess.Popen([sys.executable, PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def echo(url):
    """What Autobahn wants of a client: send back whatever comes, until the end."""
    with OneConnection(url, timeout=PATIENCE).open() as client:
        try:
            while True:
                client.send(client.receive())
        except ProtouserError:
            pass


def test_every_case(fuzzer):
    base = fuzzer.stdout.readline().strip()
    with WebSocketClient(f"{base}/getCaseCount", timeout=PATIENCE).open() as client:
        assert int(client.receive()) == CASES
    cases = [f"{base}/runCase?case={number + 1}&agent=protouser" for number in range(CASES)]
    Pool(AT_ONCE).map(echo, cases)
    WebSocketClient(f"{base}/updateReports?agent=protouser", timeout=PATIENCE).open().close()
    verdicts = json.loads(fuzzer.stdout.readline())
    accepted = {"OK", "NON-STRICT", "INFORMATIONAL"}
    assert [case for case in verdicts if not accepted.issuperset(case[1:3])] == []
    assert len(verdicts) == len({case[0] for case in verdicts}) == CASES
    assert {case[2] for case in verdicts} <= {"OK", "INFORMATIONAL"}
    assert Counter(case[1] for case in verdicts)["OK"] >= CASES - 20
