"""A broker for MQTT 3.1.1, and a control room that sends commands and counts the answers.

It needs the package iotcore, which carries a broker: pip install iotcore

Run it:

    python examples/mqtt_commands/backend.py --port 7109
"""

from __future__ import annotations

import argparse
import signal
import socket
import threading

EVERY = 0.1  # seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(port: int) -> None:
    from iotcore import Broker, IotCore

    answered = 0

    def count(_message: object) -> None:
        nonlocal answered
        answered += 1

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_signal: stopped.set())
    with (
        Broker(port=port, listen="127.0.0.1"),
        IotCore("127.0.0.1", port, start_broker=False) as room,
    ):
        room.subscribe("devices/+/ack", count, qos=1)
        room.start()
        print(f"listening on mqtt://127.0.0.1:{port}", flush=True)
        while not stopped.wait(EVERY):
            room.publish("commands/blink", b"on")
    print(f"answered {answered} commands", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An MQTT broker with a control room.")
    parser.add_argument("--port", type=int, default=7109, help="0 takes a free one")
    serve(parser.parse_args().port or free_port())
