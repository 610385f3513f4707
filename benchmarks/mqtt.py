"""MQTT, QoS 1, one message in flight per user: Locust's own MQTT user against ours.

Both wait for the acknowledgement of a message before they publish the next; the rate is what 50
users get through. The broker is mosquitto.

python benchmarks/mqtt.py
"""

from locust import task
from locust.contrib.mqtt import MqttUser as LocustMqttUser

import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import gevent
from _sides import Comparison, Goal, main
from gevent.event import Event

from protouser_mqtt import MqttUser

PAYLOAD = b"x" * 64

warnings.filterwarnings("ignore", "Callback API version 1 is deprecated")


class LocustsOwn(LocustMqttUser):
    """Publishes through paho and waits for the callback that tells of PUBACK."""

    abstract = True

    def __init__(self, environment):
        url = urlsplit(self.host)
        self.host, self.port = url.hostname, url.port
        super().__init__(environment)
        acknowledged = self.acknowledged = Event()
        told = self.client.on_publish

        def on_publish(*arguments):
            told(*arguments)
            acknowledged.set()

        self.client.on_publish = on_publish

    def on_start(self):
        while not self.client.is_connected():
            gevent.sleep(0.01)

    @task
    def report(self):
        self.acknowledged.clear()
        self.client.publish("bench/temperature", PAYLOAD, qos=1)
        self.acknowledged.wait()


class Ours(MqttUser):
    abstract = True

    @task
    def report(self):
        self.client.publish("bench/temperature", PAYLOAD, qos=1)


def locusts_own(url):
    return type("Bench", (LocustsOwn,), {"host": url})


def ours(url):
    return type("Bench", (Ours,), {"host": url})


@contextmanager
def serve():
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        config = Path(folder) / "mosquitto.conf"
        as_root = "user root\n" if os.geteuid() == 0 else ""
        config.write_text(f"{as_root}listener {port} 127.0.0.1\nallow_anonymous true\n")
        path = f"{os.environ['PATH']}:/usr/sbin"
        program = shutil.which("mosquitto", path=path) or "mosquitto"
        process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            yield f"mqtt://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


COMPARISONS = [
    Comparison(
        "publish QoS 1",
        {"locust.contrib.mqtt": locusts_own, "MqttUser": ours},
        Goal("rate", 2.5),
        users=(50,),
    )
]

if __name__ == "__main__":
    main(COMPARISONS, serve)
