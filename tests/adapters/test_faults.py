"""What each protocol reports when the network between does what networks do."""

from __future__ import annotations

from locust.env import Environment

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import protouser_websocket
from protouser import ProtocolUser, equals
from protouser.demo._servers import Servers
from protouser.testing import ScriptedServer, capture
from protouser_socket import length_prefix

HERE = Path(__file__).parent

#: Many seconds, since a loaded machine is slow as well; nothing waits for them to end.
TIMEOUT = 30.0
#: For "silent" alone.
SHORT = 0.4

LOST = ("ConnectionLost", "MalformedMessage")
OUTCOMES = {
    "latency": ("success",),
    "slices": ("success",),
    "reset": LOST,
    "slow_close": LOST,
    "half_prefix": LOST,
    "silent": ("CallTimeout",),
    "garbage": ("MalformedMessage",),
}

#: 64 bytes of 0xFF and a newline are a whole line: the check says that it is the wrong one.
OTHER = {("lines", "garbage"): ("CatchResponseError",)}


class Protocol(NamedTuple):
    """How a call is made: the URL's scheme and path, options, and how many pieces come before."""

    scheme: str
    path: str
    options: dict
    intact: int


PROTOCOLS = {
    "lines": Protocol("tcp", "", {}, 0),
    "length prefix": Protocol("tcp", "", {"framing": length_prefix(4)}, 0),
    "ws": Protocol("ws", "/", {}, 1),
    "mqtt": Protocol("mqtt", "", {}, 1),
}


@contextlib.contextmanager
def upstream(name, broker_port):
    if name == "mqtt":
        yield broker_port
    elif name == "ws":
        program = Path(protouser_websocket.__file__).with_name("_demo_server.py")
        with Servers({"ws": program}) as servers:
            url = servers.answers["ws"]["addresses"]["echo"]
            yield int(url.rpartition(":")[2].partition("/")[0])
    else:
        with ScriptedServer("echo", prefix=4 if name == "length prefix" else 0) as server:
            yield server.port


@pytest.fixture(scope="module", params=PROTOCOLS)
def faulty(request, broker_port):
    """A protocol's name, and the ports of its faults."""
    name = request.param
    if name == "mqtt" and not broker_port:
        request.getfixturevalue("debian")("mosquitto", None)
    with upstream(name, broker_port) as port:
        command = [sys.executable, HERE / "fault_proxy.py", str(port), str(PROTOCOLS[name].intact)]
        proxy = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        yield name, json.loads(proxy.stdout.readline())
        proxy.communicate(timeout=30)


@pytest.fixture
def user():
    class Someone(ProtocolUser):
        pass

    user = Someone(Environment())
    yield user
    user._close()


@pytest.fixture
def reports_of():
    return lambda user: capture(user.environment)


def call(client, name, timeout):
    if name == "mqtt":
        return client.publish("faults/x", b"hello", qos=1, timeout=timeout)
    return client.request(b"hello", timeout=timeout, check=equals(b"hello"))


@pytest.mark.parametrize("fault", OUTCOMES)
def test_each_fault_is_reported_once_for_what_it_is(faulty, user, reports_of, fault):
    name, ports = faulty
    protocol = PROTOCOLS[name]
    url = f"{protocol.scheme}://127.0.0.1:{ports[fault]}{protocol.path}"
    client = user.open(url, **protocol.options)
    with reports_of(user) as reports, contextlib.suppress(OSError, ValueError, TimeoutError):
        call(client, name, SHORT if fault == "silent" else TIMEOUT)
    (report,) = [each for each in reports if each.name not in ("connect", "disconnect")]
    kind = "success" if report.exception is None else type(report.exception).__name__
    assert kind in OTHER.get((name, fault), OUTCOMES[fault]), report.exception
    if fault == "latency":
        assert report.response_time >= 300 - 1
    if kind not in ("success", "CatchResponseError"):
        assert str(report.exception)


def test_a_user_goes_on_after_any_fault(faulty, user, reports_of):
    name, ports = faulty
    protocol = PROTOCOLS[name]
    for fault in ("half_prefix", "reset", "slow_close"):
        url = f"{protocol.scheme}://127.0.0.1:{ports[fault]}{protocol.path}"
        client = user.open(url, **protocol.options)
        with reports_of(user) as reports:
            for _ in range(2):
                with contextlib.suppress(OSError, ValueError, TimeoutError):
                    call(client, name, TIMEOUT)
        failed = [each for each in reports if each.name != "connect"]
        assert len(failed) == 2
        assert all(each.exception is not None for each in failed)
        # the second call had a connection of its own, which was made before its time began
        assert [each.exception for each in reports if each.name == "connect"] == [None]
