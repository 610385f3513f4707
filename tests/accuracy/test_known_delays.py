"""What is measured against what a server with known delays says of itself, call by call.

The server is a process of its own and logs the time between reading a request and answering it.
No call can take less than that. What it takes more is the floor of the client, which is seen by
calls that the server answers at once, and what this machine adds, which may be busy with other
things: that is seen by a few users in the same process whose client is written by hand.
"""

from __future__ import annotations

import locust  # noqa: F401  first: it patches the standard library for gevent
from locust import User, constant, task

import itertools
import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from math import ceil
from pathlib import Path

import pytest

from protouser import arrival_rate
from protouser.testing import load
from protouser_grpc import GrpcUser
from protouser_mqtt import MqttUser
from protouser_socket import TcpUser
from protouser_websocket import WebSocketUser

SERVER = Path(__file__).with_name("delaying_server.py")
FLOOR = "none"
KINDS = ("constant", "bimodal", "long tail")
MIX = (FLOOR, "constant", FLOOR, "bimodal", FLOOR, "long tail")
SHARES = {"p50": 0.5, "p99": 0.99}
ROUNDS = 4


class Tcp(TcpUser):
    abstract = True
    scheme = "tcp"

    def call(self, text, **options):
        self.client.request(text.encode(), **options)


class WebSocket(WebSocketUser):
    abstract = True
    scheme = "ws"

    def call(self, text, **options):
        self.client.request(text, **options)


class Mqtt(MqttUser):
    abstract = True
    scheme = "mqtt"

    def call(self, text, **options):
        self.client.publish(text, b"", qos=1, **options)


class Grpc(GrpcUser):
    abstract = True
    scheme = "grpc"

    def on_start(self):
        self.answer = self.client.channel.unary_unary("/delays.Server/Answer")

    def call(self, text, **options):
        self.answer(text.encode(), **options)


USERS = {"tcp": Tcp, "websocket": WebSocket, "mqtt": Mqtt, "grpc": Grpc}


def by_hand(port, took):
    """A user class that notes what its calls over TCP took, by kind and id."""

    class ByHand(User):
        fixed_count = 10
        wait_time = constant(0.005)
        numbers = itertools.count()

        def on_start(self):
            self.socket = socket.create_connection(("127.0.0.1", port))

        def on_stop(self):
            self.socket.close()

        @task
        def call(self):
            number = next(self.numbers)
            kind = KINDS[number % len(KINDS)]
            began = time.perf_counter_ns()
            self.socket.sendall(f"{kind}/{number}\n".encode())
            assert self.socket.recv(100)
            took.setdefault(kind, {})[str(number)] = time.perf_counter_ns() - began

    return ByHand


@contextmanager
def delays(protocol, logs):
    """The server's two ports; its logs once it has ended."""
    process = subprocess.Popen(
        [sys.executable, str(SERVER), protocol],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().split()
        process.stdin.close()
        logs += json.loads(process.stdout.readline())
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


def run(protocol, pace, seconds):
    """The results of a load, and (measured, logged) nanoseconds by kind: ours, and by hand."""
    logs: list[dict[str, int]] = []
    took: dict[str, dict[str, int]] = {}
    with delays(protocol, logs) as (port, port_by_hand):

        class Caller(USERS[protocol]):
            host = f"{USERS[protocol].scheme}://127.0.0.1:{port}"
            wait_time = pace
            numbers = itertools.count()

            @task
            def make_call(self):
                number = next(self.numbers)
                kind = MIX[number % len(MIX)]
                self.call(f"{kind}/{number}", name=kind, context={"number": str(number)})

        other = by_hand(port_by_hand, took)
        results = load(Caller, other, users=70, seconds=seconds, stop_timeout=5)
    assert not results.errors
    ours: dict[str, list[tuple[float, int]]] = {}
    for report in results.reports:
        if "number" in report.context:
            pair = (report.response_time * 1e6, logs[0].pop(report.context["number"]))
            ours.setdefault(report.name, []).append(pair)
    # each call is there once, but for those that the end of the test cut short
    assert len(logs[0]) <= sum(row.cancelled for row in results.values())
    hand = {
        kind: [(times[number], logs[1][number]) for number in times] for kind, times in took.items()
    }
    return results, ours, hand


def nearest(values, share):
    """The smallest value that at least a share of all does not exceed."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def added(pairs, share):
    return nearest([measured - logged for measured, logged in pairs], share)


def wrong(ours, hand):
    """What is measured wrong: less than it took, or beyond floor and machine by 5 % and 0.3 ms."""
    found = {}
    for kind, (name, share) in itertools.product(KINDS, SHARES.items()):
        floor, machine = added(ours[FLOOR], share), added(hand[kind], share)
        truth = nearest([logged for _, logged in ours[kind]], share)
        least, most = added(ours[kind], 0), added(ours[kind], share)
        allowed = 1.25 * max(floor, machine) + max(0.05 * truth, 300_000)
        if least < 0 or most > allowed:
            found[kind, name] = f"{least:.0f} to {most:.0f} more than {truth}, not {allowed:.0f} ns"
    return found


@pytest.mark.measures
@pytest.mark.parametrize("protocol", USERS)
def test_calls_take_what_the_server_says_at_half_of_what_can_be_done(protocol):
    _, ours, _ = run(protocol, constant(0), 1)
    rate = max(sum(map(len, ours.values())) / 2, 100)
    rounds = []
    for _ in range(ROUNDS):  # another process may disturb one, and not all users in it alike
        results, ours, hand = run(protocol, arrival_rate(f"{rate:.0f}/s"), 1.5)
        rows = {name: row for (_, name), row in results.items()}
        for kind, share in itertools.product(KINDS, SHARES.values()):
            reported, exact = rows[kind].percentile(share), nearest(ours[kind], share)[0] / 1e9
            assert reported == pytest.approx(exact, rel=0.004)
        found = wrong(ours, hand)
        if not found:
            return
        rounds.append(found)
    pytest.fail(f"at {rate:.0f} calls/s: {rounds}")


def test_what_is_wrong_is_found():
    truths = {FLOOR: 0, "constant": 100_000, "bimodal": 2_000_000, "long tail": 270_000}
    truths = {kind: [truth] * 90 + [50 * truth] * 10 for kind, truth in truths.items()}
    good = {kind: [(each + 100_000, each) for each in times] for kind, times in truths.items()}
    assert not wrong(good, good)
    for kind, share, spoil in (
        ("constant", "p50", lambda time: time // 1_000_000 * 1_000_000),  # milliseconds
        ("constant", "p50", lambda time: (time // 1_000_000 + 1) * 1_000_000),
        ("bimodal", "p99", lambda time: time * 1.07),
        ("long tail", "p50", lambda time: time + 900_000),
    ):
        spoiled = [(spoil(measured), logged) for measured, logged in good[kind]]
        assert (kind, share) in wrong({**good, kind: spoiled}, good)
