"""A user that takes rows, and writes down each at once, so that a killed process has told all."""

from locust import constant, task

import os

from protouser import CsvFeeder, ProtocolUser

rows = CsvFeeder("data.csv", on_worker_loss=os.environ["ON_LOSS"], lease=float(os.environ["LEASE"]))
USED = os.open(os.environ.get("USED", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)


class Taker(ProtocolUser):
    wait_time = constant(0.005)

    @task
    def take(self):
        os.write(USED, f"{next(rows).n}\n".encode())
