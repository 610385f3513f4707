"""A TCP server that answers lines: requests, one-way messages, checks, and verdicts by hand.

Run it:

    python examples/tcp_echo/backend.py
    locust -f examples/tcp_echo/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

from protouser_socket import TcpUser, lines


class Echo(TcpUser):
    host = "tcp://127.0.0.1:7101"
    framing = lines(b"\n", limit=1024)
    timeout = 2.0
    wait_time = constant(0.05)

    @task(4)
    def request(self) -> None:
        self.client.request(b"hello", check=lambda reply: reply == b"hello")

    @task(2)
    def send_ahead(self) -> None:
        self.client.send(b"one")
        self.client.send(b"two")
        self.client.receive(check=lambda message: message == b"one")
        self.client.receive(check=lambda message: message == b"two")

    @task(1)
    def decide_myself(self) -> None:
        with self.client.request(b"ready?", name="question", catch_response=True) as call:
            if call.response not in (b"ready?", b"yes"):
                call.failure("no answer to the question")
