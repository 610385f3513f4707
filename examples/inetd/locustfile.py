"""Echo and chargen, as old as the internet: an exchange, and a server that never stops talking.

A chargen server sends lines for as long as it can. What a user has not read yet stays with the
server: an inbox that is full stops reading from the socket, so memory does not grow.

It needs xinetd (Debian: xinetd). Run it:

    xinetd -dontfork -f examples/inetd/xinetd.conf
    locust -f examples/inetd/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

from protouser import ProtocolUser
from protouser_socket import lines

WIDTH = 72


def follows(before: bytes, line: bytes) -> bool:
    """Each line is the one before, shifted by one character."""
    return len(line) == WIDTH and line[:-1] == before[1:]


class Veteran(ProtocolUser):
    framing = lines(b"\r\n")
    timeout = 2.0
    wait_time = constant(0.05)
    echo = "tcp://127.0.0.1:7124"
    chargen = "tcp://127.0.0.1:7125"

    def connect(self) -> None:
        self.echoes = self.open(self.echo)
        self.pattern = self.open(self.chargen)

    def on_start(self) -> None:
        self.line = self.pattern.receive(name="first line")

    @task(2)
    def ask(self) -> None:
        self.echoes.request(b"hello", check=lambda reply: reply == b"hello")

    @task(3)
    def read(self) -> None:
        before = self.line
        self.line = self.pattern.receive(name="line", check=lambda line: follows(before, line))
