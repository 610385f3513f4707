"""A broker for MQTT 3.1.1 that says at the end how many messages of sensors it has delivered.

It needs the package iotcore, which carries a broker: pip install iotcore

Run it:

    python examples/mqtt_sensor/backend.py --port 7108
"""

from __future__ import annotations

import argparse
import signal
import socket


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(port: int) -> None:
    from iotcore import Broker, IotCore

    delivered = 0

    def count(_message: object) -> None:
        nonlocal delivered
        delivered += 1

    # Kept back before the broker's threads start: no signal is theirs, and none comes too early.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with (
        Broker(port=port, listen="127.0.0.1"),
        IotCore("127.0.0.1", port, start_broker=False) as watcher,
    ):
        watcher.subscribe("sensors/#", count, qos=1)
        watcher.start()
        print(f"listening on mqtt://127.0.0.1:{port}", flush=True)
        signal.sigwait(signals)
    print(f"answered {delivered} messages", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An MQTT broker that counts.")
    parser.add_argument("--port", type=int, default=7108, help="0 takes a free one")
    serve(parser.parse_args().port or free_port())
