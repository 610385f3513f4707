"""Users that take rows until there are none, and write down what they got."""

from locust import constant, task

import os

from protouser import CsvFeeder, ProtocolUser

rows = CsvFeeder("data.csv")


class Taker(ProtocolUser):
    wait_time = constant(0.01)

    @task
    def take(self):
        row = next(rows)
        with self.measure("take"), open(f"got-{os.getpid()}", "a") as file:
            print(row.n, file=file)
