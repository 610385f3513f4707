"""Client CPU per TCP request: a hand-written Locust task with a gevent socket against ours.

python benchmarks/tcp.py
"""

from locust import User, task

import socket
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

from _sides import Comparison, Goal, main

from protouser.testing import ScriptedServer
from protouser_socket import TcpUser

PAYLOAD = b"x" * 64


class ByHand(User):
    """Reads until the newline and looks at the reply; without a timeout, as in tutorials."""

    abstract = True
    timeout = None

    def on_start(self):
        url = urlsplit(self.host)
        self.socket = socket.create_connection((url.hostname, url.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(self.timeout)

    def on_stop(self):
        self.socket.close()

    def exchange(self):
        self.socket.sendall(PAYLOAD + b"\n")
        reply = b""
        while not reply.endswith(b"\n"):
            chunk = self.socket.recv(4096)
            if not chunk:
                raise ConnectionError("closed")
            reply += chunk
        if reply[:-1] != PAYLOAD:
            raise ValueError("not the reply to this request")
        return reply

    @task
    def request(self):
        started = time.perf_counter()
        error, reply = None, b""
        try:
            reply = self.exchange()
        except (OSError, ValueError) as caught:
            error = caught
        self.environment.events.request.fire(
            request_type="tcp",
            name="request",
            response_time=(time.perf_counter() - started) * 1000,
            response_length=len(reply),
            exception=error,
            context={},
        )


class ByHandInTime(ByHand):
    """The same with a timeout, which every request of ours has."""

    abstract = True
    timeout = 30


class Ours(TcpUser):
    abstract = True

    @task
    def request(self):
        self.client.request(PAYLOAD, match=PAYLOAD.__eq__)


class OursInOrder(TcpUser):
    """The reply is the next message, as for most protocols over TCP."""

    abstract = True

    @task
    def request(self):
        self.client.request(PAYLOAD)


def bench(base):
    return lambda url: type("Bench", (base,), {"host": url})


@contextmanager
def serve():
    with ScriptedServer("echo") as server:
        yield server.url


GOAL = Goal("cpu", 0.9)
COMPARISONS = [
    Comparison("match", {"by hand": bench(ByHand), "match=": bench(Ours)}, GOAL, users=(1, 50)),
    Comparison(
        "match, timeout", {"by hand": bench(ByHandInTime), "match=": bench(Ours)}, GOAL, (1, 50)
    ),
    Comparison(
        "order", {"by hand": bench(ByHand), "in order": bench(OursInOrder)}, GOAL, users=(1, 50)
    ),
]

if __name__ == "__main__":
    main(COMPARISONS, serve)
