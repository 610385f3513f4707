"""Examples against servers that Debian packs, started as the head of each file says.

An example of this kind has no backend of its own. Its folder is copied with free ports in every
file, the server is started as the head says, and must have counted what we did.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gevent
import pytest

from protouser import now
from tests.ports import free_port
from tests.test_examples import EXAMPLES, USERS, assert_both_counted, commands, successes

PACKAGES = {
    "redis_resp": "redis-server",
    "memcached": "memcached",
    "dns_lookup": "dnsmasq-base",
    "inetd": "xinetd",
}
PORT = re.compile(r"\b71[0-9]{2}\b")
PATHS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
SOON = 60.0


@dataclass(frozen=True)
class Running:
    """An example whose server runs: its locustfile, and the server's port."""

    locustfile: Path
    port: int
    run: Callable

    def ask(self, request: bytes, end: bytes) -> bytes:
        """What the server says to a client without any of our code."""
        with socket.create_connection(("127.0.0.1", self.port), SOON) as plain:
            plain.sendall(request)
            answer = b""
            while end not in answer:
                data = plain.recv(65536)
                assert data, answer
                answer += data
        return answer


def copied(example: str, folder: Path) -> list[str]:
    """Copy an example with other ports in its files; return these."""
    shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns("__pycache__"))
    ports: dict[str, str] = {}
    for file in sorted(folder.iterdir()):
        text = file.read_text()
        for port in PORT.findall(text):
            ports.setdefault(port, str(free_port()))
        file.write_text(PORT.sub(lambda found: ports[found[0]], text))
    return list(ports.values())


def wait_until_it_listens(server: subprocess.Popen, port: str) -> None:
    deadline = now() + SOON
    while True:
        assert server.poll() is None, "the server has ended"
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", int(port)), SOON),
        ):
            return
        assert now() < deadline, "the server does not listen"
        gevent.sleep(0.05)


@pytest.fixture
def real_example(debian, run_locust, tmp_path) -> Callable:
    """Start the server of an example; ``run()`` then runs its locustfile as its head says."""

    @contextlib.contextmanager
    def started(example: str) -> Iterator[Running]:
        folder = tmp_path / example
        ports = copied(example, folder)
        server, command = commands(folder / "locustfile.py")
        program = shutil.which(server[0], path=PATHS)
        debian(PACKAGES[example], program)
        assert command[:3] == ["locust", "-f", f"examples/{example}/locustfile.py"]
        assert command[3:] == ["--headless", "-u", f"{USERS}", "-r", f"{USERS}", "-t", "10s"]

        def run():
            ended = run_locust(
                folder / "locustfile.py", *command[3:-1], "3s", "--stop-timeout", "5"
            )
            assert "Traceback" not in ended.stderr, ended.stderr
            return ended

        told = [word.replace(f"examples/{example}", str(folder)) for word in server[1:]]
        with (tmp_path / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [program, *told], cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            for port in ports:
                wait_until_it_listens(process, port)
            yield Running(folder / "locustfile.py", int(ports[0]), run)
        finally:
            process.terminate()
            process.wait(SOON)

    return started


def test_redis_resp_counts_what_redis_counts(real_example):
    with real_example("redis_resp") as example:
        run = example.run()
        answer = example.ask(b"INFO commandstats\r\nPING\r\n", b"+PONG").decode()
    names = ("SET", "GET", "INCR", "MGET", "LPUSH")
    successes(run, "connect", *names)
    theirs = {
        name.upper(): int(calls) for name, calls in re.findall(r"cmdstat_(\w+):calls=(\d+)", answer)
    }
    for name in names:
        assert_both_counted(run.row("tcp", name)["num_requests"], theirs[name])


def test_memcached_counts_what_both_transports_count(real_example):
    with real_example("memcached") as example:
        run = example.run()
        answer = example.ask(b"stats\r\n", b"END\r\n").decode()
    successes(run, "connect", "set", "get", "miss", "miss by datagram")
    theirs = {name: int(value) for name, value in re.findall(r"STAT (\w+) (\d+)\r", answer)}
    missed = run.row("tcp", "miss")["num_requests"]
    missed += run.row("udp", "miss by datagram")["num_requests"]
    assert_both_counted(run.row("tcp", "set")["num_requests"], theirs["cmd_set"])
    assert_both_counted(run.row("tcp", "get")["num_requests"], theirs["get_hits"])
    assert_both_counted(missed, theirs["get_misses"])


def test_dns_lookup_asks_for_two_names_at_once(real_example):
    with real_example("dns_lookup") as example:
        run = example.run()
    successes(run, "connect", "A", "A unknown")


def test_inetd_echoes_and_generates_characters(real_example):
    with real_example("inetd") as example:
        run = example.run()
    successes(run, "connect", "request", "first line", "line")
    assert run.row("tcp", "first line")["num_requests"] == USERS


def test_every_example_with_a_server_of_debian_is_run_here():
    named = {
        file.parent.name
        for file in EXAMPLES.glob("*/locustfile.py")
        if "Debian: " in file.read_text()
    }
    assert named == set(PACKAGES)
