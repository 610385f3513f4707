"""A UDP server that answers datagrams: requests, one-way readings, and what is lost.

A datagram may be lost, and nobody says so. A request without a reply is a failure when its
``timeout`` is over; give it a short one, since its user waits as long. The next request goes out
from another port, so that a late reply is never taken for its own. A one-way ``send`` is counted
when it has left; whether it arrived, only the server knows. Start the backend with ``--lose 10`` to
see a tenth of the questions fail.

Run it:

    python examples/udp_echo/backend.py
    locust -f examples/udp_echo/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

from protouser_socket import UdpUser


class Sensor(UdpUser):
    host = "udp://127.0.0.1:7107"
    timeout = 0.5
    wait_time = constant(0.05)

    @task(4)
    def ask(self) -> None:
        self.client.request(b"hello", check=lambda reply: reply == b"hello")

    @task(2)
    def report(self) -> None:
        self.client.send(b"-12.5", name="reading")

    @task(1)
    def decide_myself(self) -> None:
        with self.client.request(b"ready?", name="question", catch_response=True) as call:
            if isinstance(call.error, TimeoutError):
                call.failure("lost")
            elif call.response not in (b"ready?", b"yes"):
                call.failure("no answer to the question")
