"""A user that takes rows, and writes down each at once, so that a killed process has told all.

Where ``GATE`` names a file, it takes twenty and waits for the file before it goes on.
"""

from locust import constant, task

import os

import gevent

from protouser import CsvFeeder, ProtocolUser

rows = CsvFeeder("data.csv", on_worker_loss=os.environ["ON_LOSS"], lease=float(os.environ["LEASE"]))
USED = os.open(os.environ.get("USED", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
GATE = os.environ.get("GATE")


class Taker(ProtocolUser):
    wait_time = constant(0.005)
    taken = 0

    @task
    def take(self):
        while self.taken == 20 and GATE and not os.path.exists(GATE):
            gevent.sleep(0.02)
        self.taken += 1
        os.write(USED, f"{next(rows).n}\n".encode())
