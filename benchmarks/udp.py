"""Client CPU per UDP request: hand-written Locust tasks with a gevent socket against ours.

python benchmarks/udp.py
"""

from locust import User, task

import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from _sides import Comparison, Goal, main

from protouser_socket import UdpUser

PAYLOAD = b"x" * 64


class ByHand(User):
    """``sendto`` and ``recvfrom``, as tutorials have it; with a timeout, as datagrams get lost."""

    abstract = True

    def on_start(self):
        url = urlsplit(self.host)
        self.address = url.hostname, url.port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(30)

    def on_stop(self):
        self.socket.close()

    def exchange(self):
        self.socket.sendto(PAYLOAD, self.address)
        return self.socket.recvfrom(65_535)[0]

    @task
    def request(self):
        started = time.perf_counter()
        error, reply = None, b""
        try:
            reply = self.exchange()
            if reply != PAYLOAD:
                raise ValueError("not the reply to this request")
        except (OSError, ValueError) as caught:
            error = caught
        self.environment.events.request.fire(
            request_type="udp",
            name="request",
            response_time=(time.perf_counter() - started) * 1000,
            response_length=len(reply),
            exception=error,
            context={},
        )


class ConnectedByHand(ByHand):
    """With a connected socket, which hears of a refused port and of no strangers."""

    abstract = True

    def on_start(self):
        super().on_start()
        self.socket.connect(self.address)

    def exchange(self):
        self.socket.send(PAYLOAD)
        return self.socket.recv(65_535)


class Ours(UdpUser):
    abstract = True

    @task
    def request(self):
        self.client.request(PAYLOAD, match=PAYLOAD.__eq__)


def bench(base):
    return lambda url: type("Bench", (base,), {"host": url})


@contextmanager
def serve():
    program = Path(__file__).with_name("_udp_server.py")
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


COMPARISONS = [
    Comparison(
        name, {"by hand": bench(base), "UdpUser": bench(Ours)}, Goal("cpu", 0.9), users=(1, 50)
    )
    for name, base in (("sendto, recvfrom", ByHand), ("connected, send, recv", ConnectedByHand))
]

if __name__ == "__main__":
    main(COMPARISONS, serve)
