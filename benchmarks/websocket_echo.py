"""WebSocket echo: a plain websocket-client user against ours, at 32 bytes and at 4 KiB.

python benchmarks/websocket_echo.py
"""

from locust import User, task

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import websocket
from _sides import Comparison, Goal, main

from protouser_websocket import WebSocketUser


class ByHand(User):
    """As the documentation of websocket-client has it."""

    abstract = True
    payload = ""

    def on_start(self):
        self.socket = websocket.create_connection(self.host)

    def on_stop(self):
        self.socket.close()

    @task
    def echo(self):
        started = time.perf_counter()
        error, reply = None, ""
        try:
            self.socket.send(self.payload)
            reply = self.socket.recv()
        except (OSError, websocket.WebSocketException) as caught:
            error = caught
        self.environment.events.request.fire(
            request_type="ws",
            name="request",
            response_time=(time.perf_counter() - started) * 1000,
            response_length=len(reply),
            exception=error,
            context={},
        )


class Ours(WebSocketUser):
    abstract = True
    payload = ""

    @task
    def echo(self):
        self.client.request(self.payload)


def side(base, size):
    return lambda url: type("Bench", (base,), {"host": url, "payload": "x" * size})


@contextmanager
def serve():
    program = Path(__file__).with_name("_websocket_server.py")
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


COMPARISONS = [
    Comparison(
        f"echo of {size} B",
        {"websocket-client": side(ByHand, size), "WebSocketUser": side(Ours, size)},
        goal,
        users=(50,),
    )
    for size, goal in ((32, Goal("cpu", 1.0)), (4096, Goal("cpu", 0.1)))
]

if __name__ == "__main__":
    main(COMPARISONS, serve)
