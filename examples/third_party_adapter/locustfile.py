"""An adapter from another distribution looks like those that come with protouser.

Run it:

    pip install examples/third_party_adapter && python examples/third_party_adapter/backend.py
    locust -f examples/third_party_adapter/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

from protouser_redis import RedisUser


class Visitor(RedisUser):
    host = "redis://127.0.0.1:6379"
    timeout = 2.0
    wait_time = constant(0.05)

    @task(3)
    def visit(self) -> None:
        self.client.command("INCR", "visits", check=lambda visits: visits > 0)

    @task(1)
    def remember(self) -> None:
        self.client.command("SET", "colour", "green")
        self.client.command("GET", "colour", check=lambda value: value == b"green")
