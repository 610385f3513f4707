"""A gRPC server without any generated code: it says by reflection what it understands.

Run it:

    python examples/grpc_reflection/backend.py
    locust -f examples/grpc_reflection/locustfile.py --headless -u 3 -r 3 -t 10s

Messages are dicts; a field that does not exist is named with the nearest that does. Where a server
has reflection switched off, ``schema = "chat.proto"`` (with grpcio-tools) or a descriptor set does.
"""

from __future__ import annotations

from locust import constant, task

from protouser import field
from protouser_grpc import GrpcUser


class Chatter(GrpcUser):
    host = "grpc://127.0.0.1:50052"
    timeout = 5.0
    wait_time = constant(0.05)

    @task(2)
    def join(self) -> None:
        room = self.client.call(
            "chat.Chat/Join",
            {"name": "lobby", "person": {"nick": "you", "languages": ["en", "la"]}},
            check=lambda room: room.people > 0,
        )
        assert room.topic == "Welcome, you"

    @task(1)
    def talk(self) -> None:
        with self.client.stream("chat.Chat/Talk") as chat:
            for text in ("hi", "how are you?", "bye"):
                chat.send({"text": text})
                chat.receive(match=field("text", text), timeout=2)
            chat.done_writing()  # then the server ends the call; without it, it would be left
