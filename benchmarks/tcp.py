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
    abstract = True

    def on_start(self):
        url = urlsplit(self.host)
        self.socket = socket.create_connection((url.hostname, url.port))
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


def by_hand(url):
    return type("Bench", (ByHand,), {"host": url})


def ours(url):
    return type("Bench", (Ours,), {"host": url})


@contextmanager
def serve():
    with ScriptedServer("echo") as server:
        yield server.url


COMPARISONS = [
    Comparison("request", {"by hand": by_hand, "TcpUser": ours}, Goal("cpu", 0.9), users=(50,))
]

if __name__ == "__main__":
    main(COMPARISONS, serve)
