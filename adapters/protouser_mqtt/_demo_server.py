"""An MQTT broker for the demonstration.

Run by the servers' process; the package iotcore carries the broker, which runs in a child process
that ends with this one.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

__all__ = ["serve"]


def serve() -> Iterator[dict[str, str]]:
    """Run a broker on a free port until the generator goes on."""
    from iotcore import Broker

    with socket.socket() as probe:  # the broker takes no port 0
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Broker(port=port, listen="127.0.0.1"):
        yield {"broker": f"mqtt://127.0.0.1:{port}"}
