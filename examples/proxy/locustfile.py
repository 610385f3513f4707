"""Proxies: Locust's own words for its HTTP client, and one word for every client here.

``Web`` sets the proxy as Locust's documentation does, on the client in ``on_start``. ``Shopper``
says ``proxy`` once, before anything connects, for the HTTP client and the TCP client alike. The
backend's own proxy on port 8888 stands in the place of Fiddler, Charles or mitmproxy, and says at
its end what went through it.

Run it:

    python examples/proxy/backend.py
    locust -f examples/proxy/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import HttpUser, constant, events, task
from locust.argument_parser import LocustArgumentParser

from protouser import ProtocolUser
from protouser_socket import TcpClient


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--echo", default="tcp://127.0.0.1:7114", help="URL of the echo server")
    parser.add_argument("--proxy", default="http://localhost:8888", help="URL of the proxy")


class Web(HttpUser):
    host = "http://127.0.0.1:7113"
    wait_time = constant(0.05)

    def on_start(self) -> None:
        proxy = self.environment.parsed_options.proxy
        self.client.proxies = {"http": proxy, "https": proxy}
        self.client.verify = False

    @task
    def page(self) -> None:
        self.client.get("/")


class Shopper(HttpUser, ProtocolUser):
    host = "http://127.0.0.1:7113"
    wait_time = constant(0.05)

    def prepare(self) -> None:
        self.proxy = self.environment.parsed_options.proxy

    def connect(self) -> None:
        self.echo: TcpClient = self.open(self.environment.parsed_options.echo, timeout=2.0)

    @task
    def page(self) -> None:
        self.client.get("/shop")

    @task
    def line(self) -> None:
        self.echo.request(b"hello", check=lambda reply: reply == b"hello")
