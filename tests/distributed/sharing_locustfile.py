"""Users of two classes that take all rows they can get, of feeders that share them differently."""

from locust import constant, task
from locust.exception import StopUser

import json
import os
from pathlib import Path

import gevent

from protouser import CsvFeeder, FeederExhausted, ProtocolUser

SHARES = ("worker", "class", "user")
feeders = {
    share: CsvFeeder("data.csv", name=share, share=share, at_end="raise", types={"n": int})
    for share in SHARES
}


class One(ProtocolUser):
    wait_time = constant(0)

    @task
    def take_all(self):
        got = {share: list(self.rows(share)) for share in SHARES}
        with Path(f"got-{os.getpid()}").open("a") as file:
            print(json.dumps([os.getpid(), type(self).__name__, id(self), got]), file=file)
        raise StopUser

    def rows(self, share):
        try:
            while True:
                yield next(feeders[share]).n
                gevent.sleep(0)
        except FeederExhausted:
            pass


class Two(One):
    pass
