"""Ports for servers that are told theirs: nobody listens there, and nobody else is told the same.

Several processes run the tests at once. So a port that was handed out is marked by a file, and goes
to no other test while a server may still be about to bind it.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import tempfile
import time
from pathlib import Path

__all__ = ["free_port"]

PORTS = (20_000, 32_000)  # below those that the system gives to clients by itself
MARKS = Path(tempfile.gettempdir()) / f"protouser-tests-ports-{os.getuid()}"
MARKED_FOR = 900.0  # seconds


def free_port() -> int:
    """A port that is free for TCP and UDP on 127.0.0.1, and is this caller's for some minutes."""
    MARKS.mkdir(exist_ok=True)
    for _ in range(1000):
        port = random.randint(*PORTS)
        if _can_be_bound(port) and _marked(MARKS / str(port)):
            return port
    raise AssertionError(f"no free port between {PORTS[0]} and {PORTS[1]}")


def _can_be_bound(port: int) -> bool:
    with (
        socket.socket() as stream,
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        contextlib.suppress(OSError),
    ):
        stream.bind(("127.0.0.1", port))
        datagrams.bind(("127.0.0.1", port))
        return True
    return False


def _marked(mark: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        if time.time() - mark.stat().st_mtime > MARKED_FOR:
            mark.unlink()
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
