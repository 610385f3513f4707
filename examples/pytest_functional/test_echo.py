"""The clients of a load test in an ordinary pytest: first that it works, then under a small load.

``open_client`` connects without Locust; a failed call raises, as tests want it. ``load`` runs real
users for a moment and returns what was measured, by type and name.

Run it:

    pip install 'protouser[testing]'
    pytest examples/pytest_functional
"""

from __future__ import annotations

from locust import task

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from protouser import CallTimeout, open_client
from protouser.testing import load
from protouser_socket import TcpUser

BACKEND = Path(__file__).parent / "backend.py"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    command = [sys.executable, str(BACKEND), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


def test_a_line_comes_back(url: str) -> None:
    with open_client(url) as client:
        assert client.request(b"hello") == b"hello"


def test_nothing_comes_unasked(url: str) -> None:
    with open_client(url) as client, pytest.raises(CallTimeout):
        client.receive(timeout=0.1)


def test_it_stands_a_small_load(url: str) -> None:
    class Visitor(TcpUser):
        host = url

        @task
        def greet(self) -> None:
            self.client.request(b"hello", name="greet", check=lambda reply: reply == b"hello")

    results = load(Visitor, users=5, seconds=1)
    greetings = results["tcp", "greet"]
    assert greetings.successes > 0, results
    assert greetings.failures == 0, results
    assert greetings.percentile(0.95) < 0.5, results
