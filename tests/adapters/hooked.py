"""Calls of every kind under one row, for tests of what hooks do with them."""

from __future__ import annotations

from locust import task
from locust.exception import StopUser

import runpy
from pathlib import Path

from protouser import CallSkipped, ProtocolUser
from protouser.testing import ScriptedServer, load

HERE = Path(__file__).parent
SECONDS = 30  # only a hang takes longer
KINDS = ["timed", "tcp", "udp", "ws", "mqtt", "unary", "server stream", "client stream", "both"]


def of(folder, name):
    return runpy.run_path(str(HERE / folder))[name]


def serve():
    """Yield the URL of a real server for each protocol, each in a process of its own."""
    tcp, udp = ScriptedServer().start(), of("socket/udp_server.py", "DatagramServer")()
    udp.__enter__()
    ws, grpc = of("websocket/conftest.py", "Server")(), of("grpc/conftest.py", "Greeter")()
    mqtt = of("mqtt/conftest.py", "Scripted")()
    mqtt.__enter__()
    yield {"tcp": tcp.url, "udp": udp.url, "ws": ws.url(), "grpc": grpc.url, "mqtt": mqtt.url}
    tcp.__exit__(None, None, None)
    udp.__exit__(None, None, None)
    mqtt.__exit__(None, None, None)
    ws.end()
    grpc.end()


def double(number):
    return 2 * number


#: By kind: the protocol, a call under the row "it", what a hook changes, and what then comes back.
CALLS = {
    "timed": (
        "",
        lambda user: user.timed(double, names="it")(1),
        lambda request: setattr(request, "args", (21,)),
        42,
    ),
    "tcp": (
        "tcp",
        lambda user: user.client.request("a", name="it"),
        lambda request: setattr(request, "payload", "b"),
        b"b",
    ),
    "udp": (
        "udp",
        lambda user: user.client.request("a", name="it"),
        lambda request: setattr(request, "payload", "b"),
        b"b",
    ),
    "ws": (
        "ws",
        lambda user: user.client.request("a", name="it"),
        lambda request: setattr(request, "payload", "b"),
        "b",
    ),
    "mqtt": (
        "mqtt",
        lambda user: user.client.publish("t/a", "a", name="it"),
        lambda request: setattr(request, "qos", 1),
        "Success",
    ),
    "unary": (
        "grpc",
        lambda user: user.client.call("test.Greeter/SayHello", {"name": "a"}, name="it").message,
        lambda request: setattr(request, "payload", {"name": "b"}),
        "Hello, b",
    ),
    "server stream": (
        "grpc",
        lambda user: [
            one.number for one in user.client.call("test.Greeter/Count", {"to": 1}, name="it")
        ],
        lambda request: setattr(request, "payload", {"to": 3}),
        [1, 2, 3],
    ),
    "client stream": (
        "grpc",
        lambda user: user.client.call("test.Greeter/Sum", [{"number": 1}], name="it").total,
        lambda request: setattr(request, "payload", [{"number": 2}, {"number": 3}]),
        5,
    ),
    "both": (
        "grpc",
        lambda user: [
            one.text for one in user.client.call("test.Greeter/Talk", [{"text": "a"}], name="it")
        ],
        lambda request: setattr(request, "payload", [{"text": "b"}]),
        ["b"],
    ),
}


def run(servers, kind, hooks, body=None):
    protocol, call, *_ = CALLS[kind]
    got = []

    @task
    def act(self):
        try:
            got.append((body or call)(self))
        except CallSkipped:
            got.append("skipped")
        raise StopUser

    members = {"host": servers.get(protocol), "act": act, **hooks}
    results = load(type("Person", (ProtocolUser,), members), users=1, seconds=SECONDS)
    return results, got


def row_of(results, kind):
    return results[CALLS[kind][0] or "Person", "it"]
