"""Two protocols in one user: Locust's own HTTP client, and a TCP client beside it.

``ProtocolUser`` is a mix-in. ``host`` and ``client`` stay Locust's; ``connect`` opens what else the
user needs, and it is closed with the user. The address of the second server is an option of the
command line, added in Locust's own way.

Run it:

    python examples/hybrid/backend.py
    locust -f examples/hybrid/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import HttpUser, constant, events, task
from locust.argument_parser import LocustArgumentParser

from protouser import ProtocolUser
from protouser_socket import TcpClient


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--echo", default="tcp://127.0.0.1:7105", help="URL of the echo server")


class Hybrid(HttpUser, ProtocolUser):
    host = "http://127.0.0.1:7104"
    wait_time = constant(0.05)

    def connect(self) -> None:
        self.echo: TcpClient = self.open(self.environment.parsed_options.echo, timeout=2.0)

    @task
    def page(self) -> None:
        self.client.get("/")

    @task
    def line(self) -> None:
        self.echo.request(b"hello", check=lambda reply: reply == b"hello")
