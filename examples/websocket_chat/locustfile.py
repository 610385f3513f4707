"""People in a chat room: how long until all have heard me, and what I hear of others meanwhile.

Everything arrives on one connection. `match=` tells one's own words, whose return is timed, from
those of others, which are counted and have no response time.

Run it:

    python examples/websocket_chat/backend.py
    locust -f examples/websocket_chat/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

import itertools
import json
import os

from protouser import field
from protouser_websocket import WebSocketUser

numbers = itertools.count(1)


class Guest(WebSocketUser):
    host = "ws://127.0.0.1:7110"
    timeout = 5.0
    wait_time = constant(0.1)

    def on_start(self) -> None:
        self.name = f"guest {os.getpid()}-{next(numbers)}"
        self.mine = field("from", self.name)
        self.spawn(self.listen)

    def listen(self) -> None:
        while True:
            self.client.receive(name="hear others", match=~self.mine, timeout=60)

    @task
    def say(self) -> None:
        message = json.dumps({"from": self.name, "text": "hello"})
        self.client.request(message, name="say", match=self.mine)
