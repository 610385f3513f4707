"""Events: one of your own, fired from a task, and Locust's, fired for every finished call.

``ticket_sold`` is a plain ``locust.event.EventHook``: the task fires it with keyword arguments and
need not know who listens. ``events.request`` is what Locust's own statistics listen to; measured
calls arrive there like any HTTP request. Both run in the process of the user, so what must be known
of the whole test is kept with ``count``, which adds up all users of all workers.

Run it:

    python examples/event_hook/backend.py
    locust -f examples/event_hook/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, events, task
from locust.event import EventHook

import logging
from typing import Any

from protouser_socket import TcpUser

SLOW_MS = 250

ticket_sold = EventHook()


class Buyer(TcpUser):
    host = "tcp://127.0.0.1:7102"
    wait_time = constant(0.05)

    @task
    def buy(self) -> None:
        ticket = self.client.request(b"buy", name="buy")
        ticket_sold.fire(user=self, ticket=ticket)


@ticket_sold.add_listener
def on_ticket_sold(user: Buyer, ticket: bytes, **_kwargs: Any) -> None:
    user.count("tickets sold")
    logging.debug("sold %s", ticket.decode())


@events.request.add_listener
def on_request(name: str, response_time: float | None, exception: Any, **_kwargs: Any) -> None:
    if exception is None and response_time is not None and response_time > SLOW_MS:
        logging.warning("%s took %.0f ms", name, response_time)
