"""Three protocols in one user: a player who logs in over TCP, moves over UDP, and chats.

``connect`` opens what the user needs; each client is a row "connect" of its own protocol, keeps its
own options, and is closed with the user. Calls are told apart by type and name, whatever sends
them; ``measure`` adds a row for what a player feels as one thing.

Run it:

    python examples/hybrid_protocols/backend.py
    locust -f examples/hybrid_protocols/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, events, task
from locust.argument_parser import LocustArgumentParser

from protouser import ProtocolUser
from protouser_socket import TcpClient, UdpClient
from protouser_websocket import WebSocketClient


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--lobby", default="tcp://127.0.0.1:7111", help="URL of the login server")
    parser.add_argument("--field", default="udp://127.0.0.1:7111", help="URL of the game server")
    parser.add_argument("--chat", default="ws://127.0.0.1:7112", help="URL of the chat")


class Player(ProtocolUser):
    protocol = "game"
    wait_time = constant(0.05)

    def connect(self) -> None:
        urls = self.environment.parsed_options
        self.lobby: TcpClient = self.open(urls.lobby, timeout=2.0)
        self.field: UdpClient = self.open(urls.field, timeout=0.5)
        self.chat: WebSocketClient = self.open(urls.chat, timeout=2.0)

    def on_start(self) -> None:
        self.lobby.request(b"ann", name="login", check=lambda reply: reply == b"welcome ann")

    @task(3)
    def move(self) -> None:
        self.field.request(b"3,4", name="move", check=lambda reply: reply == b"moved 3,4")

    @task(1)
    def meet(self) -> None:
        with self.measure("meet"):
            self.field.request(b"5,5", name="move")
            self.chat.request("hello", name="say", check=lambda reply: reply == "hello")
