"""Users who block the event loop of the second worker, and of no other."""

from locust import constant, task

import os

import gevent
from gevent.monkey import get_original

from protouser import ProtocolUser


class Operator(ProtocolUser):
    wait_time = constant(0.1)

    @task
    def operate(self):
        with self.measure("operation"):
            if os.environ.get("BLOCKS"):
                get_original("time", "sleep")(0.2)
            else:
                gevent.sleep(0.01)
