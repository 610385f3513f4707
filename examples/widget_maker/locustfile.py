"""Anything that Python can call can be load-tested: a widget maker without any protocol.

``OneLine`` wraps the object, and every public method becomes a measured call. ``ByHand`` measures
a block of code and decides itself what a good result is. A fifth of the widgets is bad on purpose,
so Locust shows failures and ends with exit code 1.

Run it:

    pip install protouser
    locust -f examples/widget_maker/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

import random
import time

from protouser import ProtocolUser


class WidgetMaker:
    def get_widget(self) -> str:
        time.sleep(random.uniform(0.01, 0.03))
        return random.choices(["good", "bad"], weights=[80, 20])[0]


class OneLine(ProtocolUser):
    protocol = "WidgetMaker"
    wait_time = constant(0.05)

    def on_start(self) -> None:
        self.widget_maker = self.timed(WidgetMaker, check={"get_widget": lambda w: w == "good"})

    @task
    def get_widget(self) -> None:
        self.widget_maker.get_widget()


class ByHand(ProtocolUser):
    protocol = "WidgetMaker"
    wait_time = constant(0.05)

    def on_start(self) -> None:
        self.widget_maker = WidgetMaker()

    @task
    def make_widget(self) -> None:
        with self.measure("make_widget") as call:
            call.response = self.widget_maker.get_widget()
            if call.response != "good":
                call.failure(f"{call.response} widget")
