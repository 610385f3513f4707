"""Users whose calls stand in transactions, with hooks of the module; three rounds for each."""

from locust import constant, task
from locust.exception import StopUser

import os
import time

from protouser import ProtocolUser, after_call, before_call

ROUNDS = 3


@before_call("pay")
def rename(call):
    time.sleep(0.01)  # gevent's
    call.name = "paid"
    call.user.count("hooked")
    call.user.count(f"in {os.getpid()}")


@after_call("paid")
def refuse_the_last(call):
    if call.user.round == ROUNDS:
        call.failure("out of money")


class Buyer(ProtocolUser):
    protocol = "shop"
    wait_time = constant(0.05)
    round = 0

    @task
    def buy(self):
        self.round += 1
        with self.transaction("checkout"):
            for name in ("add", "pay"):
                with self.measure(name):
                    time.sleep(0.02)
        if self.round == ROUNDS:
            print("a user has bought", flush=True)
            raise StopUser
