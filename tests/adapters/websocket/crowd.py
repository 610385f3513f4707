"""Many users in one process: ``crowd.py working|idle USERS URL``; prints what was seen as JSON."""

from locust import constant, task
from locust.env import Environment

import gc
import json
import sys

import gevent
import psutil

from protouser import attach, now
from protouser_websocket import WebSocketUser

SOON = 15.0


class Working(WebSocketUser):
    wait_time = constant(0.1)

    @task
    def talk(self):
        self.client.request("hello", check=lambda reply: reply == "hello")


class Idle(WebSocketUser):
    @task
    def wait(self):
        gevent.sleep(3600)


def until(condition):
    deadline = now() + SOON
    while not condition():
        assert now() < deadline, "not in time"
        gevent.sleep(0.02)


def held():
    gc.collect()
    process = psutil.Process()
    return process.num_fds(), process.memory_info().rss / 1024


def greenlets():
    gc.collect()
    return sum(isinstance(found, gevent.Greenlet) and not found.dead for found in gc.get_objects())


def main(kind, users, url):
    user_class = {"working": Working, "idle": Idle}[kind]
    user_class.host = url
    environment = Environment(user_classes=[user_class])
    session = attach(environment)
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    until(lambda: session.results().outcome("ws", "connect", "success") == 1)
    descriptors, memory = held()
    runner.start(users, spawn_rate=users)
    until(lambda: session.results().outcome("ws", "connect", "success") == users)
    gevent.sleep(2.0 if kind == "working" else 0.5)
    more_descriptors, more_memory = held()
    seen = {
        "descriptors": (more_descriptors - descriptors) / (users - 1),
        "KiB": (more_memory - memory) / (users - 1),
    }
    before = greenlets()
    runner.quit()
    gevent.sleep(0.1)
    figures = session.results()
    seen |= {
        "connects": figures.outcome("ws", "connect", "success"),
        "requests": figures.outcome("ws", "request", "success"),
        "failures": figures.total("failure"),
        "greenlets": (before, greenlets()),
        "left": psutil.Process().num_fds() - descriptors,
        "sockets": len([c for c in psutil.Process().net_connections() if c.status != "NONE"]),
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
