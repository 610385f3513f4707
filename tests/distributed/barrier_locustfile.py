"""Users that wait for all; each says when it came, and when it went, by the machine's clock."""

from locust import constant, events, task

import json
import os
import time
from pathlib import Path

import gevent

from protouser import ProtocolUser

CAME, WENT = [], []


class Waiting(ProtocolUser):
    protocol = "op"
    wait_time = constant(0.1)

    def on_start(self):
        gevent.sleep(float(os.environ.get("DELAY", "0")))
        gevent.sleep(float(os.environ.get("DELAY_OF_SECOND", "0")) * (len(CAME) % 2))
        CAME.append(time.monotonic())
        _write()
        self.wait_for_all("ready", timeout=90)
        WENT.append(time.monotonic())
        _write()

    @task
    def work(self):
        with self.measure("work"):
            pass


@events.quit.add_listener
def _write(**_):
    if "TIMES" in os.environ:
        file = Path(os.environ["TIMES"].replace("PID", str(os.getpid())))
        new = file.with_suffix(".new")  # who reads it finds it whole
        new.write_text(json.dumps([CAME, WENT]))
        new.rename(file)
