"""Many users in one process: ``crowd.py working|idle USERS URL``; prints what was seen as JSON."""

from locust import constant, task
from locust.env import Environment

import gc
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import gevent
import psutil

from protouser import attach, now
from protouser_websocket import WebSocketUser

SOON = 60.0  # only a hang takes longer
OPEN = Path("/proc/self/fd")


class Working(WebSocketUser):
    close_timeout = SOON
    wait_time = constant(0.1)

    @task
    def talk(self):
        self.client.request("hello", check=lambda reply: reply == "hello")


class Idle(WebSocketUser):
    close_timeout = SOON

    @task
    def wait(self):
        gevent.sleep(3600)


def until(condition):
    deadline = now() + SOON
    while not condition():
        assert now() < deadline, "not in time"
        gevent.sleep(0.02)


def open_descriptors():
    """How many are open, but for files of /proc: a thread of ours reads one now and then."""
    if not OPEN.exists():
        return psutil.Process().num_fds()
    targets = []
    for number in os.listdir(OPEN):
        with suppress(FileNotFoundError):  # the listing's own
            targets.append(os.readlink(OPEN / number))
    return sum(not target.startswith("/proc/") for target in targets)


def open_sockets():
    return sum(link.status != "NONE" for link in psutil.Process().net_connections())


def held():
    gc.collect()
    return open_descriptors(), psutil.Process().memory_info().rss / 1024


def main(kind, users, url):
    user_class = {"working": Working, "idle": Idle}[kind]
    user_class.host = url
    environment = Environment(user_classes=[user_class])
    session = attach(environment)
    runner = environment.create_local_runner()

    def done(name):
        return session.results().outcome("ws", name, "success")

    runner.start(1, spawn_rate=1)
    until(lambda: done("connect") == 1)
    descriptors, memory = held()
    runner.start(users, spawn_rate=users)
    until(lambda: done("connect") == users)
    if kind == "working":
        until(lambda: done("request") > 2 * users)
    more_descriptors, more_memory = held()
    runner.quit()
    until(lambda: open_sockets() == 0)
    seen = {
        "descriptors": (more_descriptors - descriptors) / (users - 1),
        "KiB": (more_memory - memory) / (users - 1),
        "connects": done("connect"),
        "requests": done("request"),
        "failures": session.results().total("failure"),
        "left": open_descriptors() - descriptors,
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
