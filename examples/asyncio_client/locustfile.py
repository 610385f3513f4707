"""An asyncio library: from plain tasks, which wait for it, and from an ``async def`` task.

All coroutines run on one asyncio loop in a native thread, beside Locust's own. ``timed`` measures
each call around the real one, there; in an ``async def`` task the same client is awaited. A method
that is not in ``only``, such as ``close``, runs there too, without a row.

Run it:

    python examples/asyncio_client/backend.py
    locust -f examples/asyncio_client/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

import asyncio

from store import StoreClient

from protouser import ProtocolUser, Url

MEASURED = {"connect", "put", "get", "scan"}


class StoreUser(ProtocolUser):
    protocol = "store"
    host = "store://127.0.0.1:7103"
    wait_time = constant(0.05)

    def connect(self) -> None:
        url = Url.parse(self.host)
        self.store = self.timed(StoreClient, url.host, url.port, only=MEASURED)
        self.store.connect()

    def on_stop(self) -> None:
        self.store.close()

    @task(3)
    def plain(self) -> None:
        self.store.put("colour", "green")
        self.store.get("colour")

    @task(1)
    def stream(self) -> None:
        self.trend("keys").add(sum(1 for _key in self.store.scan()))

    @task(1)
    async def several(self) -> None:
        with self.measure("two puts and a get") as call:
            async with asyncio.timeout(2):
                await self.store.put("colour", "red")
                await self.store.put("colour", "blue")
                call.response = await self.store.get("colour")
