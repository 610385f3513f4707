"""Many users: 500 who work, and 1,000 who are idle, each time in a process of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from .conftest import until

CROWD = """
    from locust import constant, task

    import sys

    import gevent

    from protouser.testing import load
    from protouser_mqtt import MqttUser, on_message

    class Sensor(MqttUser):
        host = sys.argv[1]
        wait_time = constant(0.1)
        close_timeout = 60
        rounds = 0

        @on_message("crowd/all")
        def listen(self, message):
            self.heard = message

        @task
        def report(self):
            self.client.publish("crowd/one", b"21.5", qos=1)
            self.rounds += 1
            if self.rounds == 10:
                done.append(self)
                gevent.sleep(120)

    done = []
    results = load(Sensor, users=500, seconds=90, until=lambda: len(done) == 500)
    connects, reports = results["mqtt", "connect"], results["mqtt", "publish crowd/one"]
    subscribed = results["mqtt", "subscribe crowd/all"]
    print(connects.successes, subscribed.successes, reports.successes,
          results.figures.total("failure"), results.figures.total("cancelled"), results.errors)
"""

IDLE = """
    import locust
    from locust.env import Environment

    import gc, os, resource, sys

    import gevent
    import psutil

    from protouser import attach
    from protouser_mqtt import MqttUser, on_message

    class Idle(MqttUser):
        host = sys.argv[1]
        keepalive = 5

        @on_message("crowd/idle")
        def listen(self, message):
            pass

    def held():
        gc.collect()
        process = psutil.Process()
        return process.num_fds(), process.memory_info().rss, process.num_threads()

    def come():
        user = Idle(environment)
        user.on_start()
        users.append(user)

    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    environment, users = Environment(), []
    environment.runner = object()
    come()
    before = held()
    for _ in range(10):
        gevent.joinall([gevent.spawn(come) for _ in range(100)], raise_error=True)
    after = held()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    gevent.sleep(6)  # longer than a keepalive
    used = resource.getrusage(resource.RUSAGE_SELF).ru_utime - used
    online = sum(not user.client.offline for user in users)
    print(online, (after[0] - before[0]) / 1000, (after[1] - before[1]) / 1000 / 1024,
          after[2] - before[2], used / 6 * 100)
    sys.stdout.flush()
    for user in users:
        user._close()
    print(held()[0] - before[0])
"""


def run(program, url):
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.slow
def test_500_users_start_work_and_stop_and_leave_nothing(own_mosquitto):
    (line,) = run(CROWD, own_mosquitto.url)
    assert line == "500 500 5000 0 0 []"
    until(lambda: own_mosquitto.connections() == 0, "the end of the connections")
    log = own_mosquitto.folder / "log"
    until(lambda: log.read_text().count(" disconnected.") == 500, "the goodbyes")


@pytest.mark.slow
def test_1000_idle_users_in_one_process(own_mosquitto, capsys):
    figures, left = run(IDLE, own_mosquitto.url)
    online, descriptors, memory, threads, cpu = map(float, figures.split())
    with capsys.disabled():
        print(
            f"\n1,000 idle MQTT users: {descriptors:g} descriptors and {memory:.1f} KiB each,"
            f" {cpu:.1f} % of a core"
        )
    assert (online, descriptors, threads) == (1001, 1, 0)
    assert memory < 100
    assert int(left) <= 0
    until(lambda: own_mosquitto.connections() == 0, "the end of the connections")
