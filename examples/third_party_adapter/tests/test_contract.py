"""The contract of protouser, and what is Redis' own; on the stand-in, or on a real server.

Run it:

    pytest examples/third_party_adapter
    PROTOUSER_REDIS_URL=redis://127.0.0.1:6379 pytest examples/third_party_adapter
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from protouser_redis import RedisClient, RedisError

from protouser import open_client
from protouser.testing import AdapterContract

BACKEND = Path(__file__).parent.parent / "backend.py"


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """The URL of a server."""
    if url := os.environ.get("PROTOUSER_REDIS_URL"):
        yield url
        return
    command = [sys.executable, str(BACKEND), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


class TestRedisContract(AdapterContract):
    scheme = "redis"

    @pytest.fixture
    def url(self, redis: str) -> str:
        return redis

    def succeed(self, client: RedisClient, **options: Any) -> Any:
        return client.command("PING", **options)

    def fail(self, client: RedisClient) -> Any:
        return client.command("GET")

    def dawdle(self, client: RedisClient, seconds: float) -> Any:
        return client.command("BLPOP", "nobody pushes here", seconds)


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (("PING",), b"PONG"),
        (("SET", "protouser:test", b"two\r\nlines"), b"OK"),
        (("GET", "protouser:test"), b"two\r\nlines"),
        (("GET", "protouser:nothing"), None),
    ],
)
def test_replies_are_decoded(redis: str, words: tuple[Any, ...], reply: Any) -> None:
    with open_client(redis) as client:
        assert client.command(*words) == reply


def test_a_refused_command_leaves_the_connection_usable(redis: str) -> None:
    with open_client(redis) as client:
        with pytest.raises(RedisError, match="wrong number of arguments"):
            client.command("GET")
        assert client.command("PING") == b"PONG"
