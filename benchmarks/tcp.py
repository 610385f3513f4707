"""Client CPU per TCP request: a hand-written Locust task with a gevent socket against ours.

    python benchmarks/tcp.py [users ...]

Both sides run as real Locust users against the same echo server, which has a process of its own;
each run has a process of its own too, and the sides take turns. CPU is user plus system time of
the client process from after the users are connected to the end, divided by the calls made.
"""

from locust import User, task
from locust.env import Environment

import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import time

import gevent

from protouser.testing import ScriptedServer
from protouser_socket import TcpUser

ROUNDS = 5
WARM_UP = 1.0
SECONDS = 3.0
PAYLOAD = b"x" * 64


class ByHand(User):
    abstract = True
    address = ("", 0)

    def on_start(self):
        self.socket = socket.create_connection(self.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def on_stop(self):
        self.socket.close()

    @task
    def request(self):
        started = time.perf_counter()
        error, reply = None, b""
        try:
            self.socket.sendall(PAYLOAD + b"\n")
            while not reply.endswith(b"\n"):
                chunk = self.socket.recv(4096)
                if not chunk:
                    raise ConnectionError("closed")
                reply += chunk
        except OSError as caught:
            error = caught
        self.environment.events.request.fire(
            request_type="tcp",
            name="request",
            response_time=(time.perf_counter() - started) * 1000,
            response_length=len(reply),
            exception=error,
            context={},
        )


class Ours(TcpUser):
    abstract = True

    @task
    def request(self):
        self.client.request(PAYLOAD)


def client(kind, host, port, users):
    """One run: prints microseconds of CPU per call and calls per second."""
    if kind == "by_hand":
        user_class = type("Bench", (ByHand,), {"address": (host, port)})
    else:
        user_class = type("Bench", (Ours,), {"host": f"tcp://{host}:{port}"})
    environment = Environment(user_classes=[user_class])
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=min(users, 100))
    gevent.sleep(WARM_UP)
    calls, cpu, clock = environment.stats.total.num_requests, _cpu(), time.perf_counter()
    gevent.sleep(SECONDS)
    calls = environment.stats.total.num_requests - calls
    cpu, clock = _cpu() - cpu, time.perf_counter() - clock
    runner.quit()
    assert not environment.stats.total.num_failures
    print(cpu / calls * 1e6, calls / clock)


def _cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run(kind, server, users):
    command = [sys.executable, __file__, "client", kind, server.host, str(server.port), str(users)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    cpu, rate = done.stdout.split()[-2:]
    return float(cpu), float(rate)


def compare(server, users):
    figures = {"by_hand": [], "ours": []}
    for round_ in range(ROUNDS):
        for kind in sorted(figures, reverse=bool(round_ % 2)):
            figures[kind].append(run(kind, server, users))
    ratios = [
        mine[0] / hand[0] for mine, hand in zip(figures["ours"], figures["by_hand"], strict=True)
    ]
    for kind, pairs in figures.items():
        cpu, rate = (statistics.median(each) for each in zip(*pairs, strict=True))
        print(f"{users:4} users  {kind:8} {cpu:8.1f} us/call {rate:10,.0f} calls/s")
    print(f"{users:4} users  ratio    {statistics.median(ratios):8.2f}x  (goal: at most 0.90x)")


def main(arguments):
    if arguments[:1] == ["client"]:
        kind, host, port, users = arguments[1:]
        client(kind, host, int(port), int(users))
        return
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    with ScriptedServer("echo") as server:
        for users in map(int, arguments or ["1", "50"]):
            compare(server, users)


if __name__ == "__main__":
    main(sys.argv[1:])
