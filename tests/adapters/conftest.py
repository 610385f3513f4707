"""One server for all protocols, and the same conversation over each of them."""

from __future__ import annotations

from locust.env import Environment

import importlib
import itertools
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import gevent
import pytest

from protouser import attach, now
from protouser.testing import capture
from tests.ports import free_port

from .hooked import serve

HERE = Path(__file__).parent
SOON = 30.0  # only a hang takes longer
PROTOCOLS = ("ws", "tcp", "udp", "mqtt", "grpc")
_numbers = itertools.count()


@pytest.fixture
def environment():
    return Environment()


@pytest.fixture
def reports(environment):
    with capture(environment) as reports:
        yield reports


@pytest.fixture(scope="session")
def broker_port(tmp_path_factory):
    """The port of a mosquitto; 0 where there is none."""
    program = shutil.which(
        "mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin"
    )
    if program is None:
        yield 0
        return
    port = free_port()
    config = tmp_path_factory.mktemp("broker") / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    process = subprocess.Popen([program, "-c", config], stderr=subprocess.DEVNULL)
    deadline = now() + SOON
    while not _listens(port):
        assert now() < deadline, "mosquitto does not listen"
        gevent.sleep(0.02)
    yield port
    process.terminate()
    process.wait(SOON)


def _listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def postman(broker_port):
    """The URLs of ``postman.py`` by protocol."""
    command = [sys.executable, str(HERE / "postman.py"), str(broker_port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with gevent.Timeout(30):
        ports = json.loads(process.stdout.readline())
    yield {
        name: f"{name}://127.0.0.1:{port}" for name, port in {**ports, "mqtt": broker_port}.items()
    }
    process.stdin.close()
    process.stdout.close()
    process.wait(SOON)


class Conversation:
    """The calls of one protocol, with what a test need not see of it.

    Attributes:
        calls: what has ``receive``, ``expect`` and the others.
        client: the client.
    """

    def __init__(self, client):
        self.client = self.calls = client

    def send(self, *say, **beside):
        self.calls.send(script(say, beside))

    def request(self, *say, name=None, timeout=None, match=None, correlate=None, **beside):
        return self.calls.request(
            self.payload(script(say, beside)),
            name=name,
            timeout=timeout,
            match=match,
            correlate=correlate,
        )

    def payload(self, text):
        return text

    def text(self, message):
        return message.decode() if isinstance(message, bytes) else message

    def close(self):
        """Nothing, where closing the client is all."""

    @property
    def inbox(self):
        return self.client.connection.inbox


class OverMqtt(Conversation):
    def __init__(self, client):
        super().__init__(client)
        number = next(_numbers)
        self.ask, self.answer = f"ask/{number}", f"answer/{number}"
        client.subscribe(self.answer)

    def send(self, *say, **beside):
        self.client.publish(self.ask, script(say, beside))

    def request(self, *say, **options):
        beside = {name: options.pop(name) for name in ("id",) if name in options}
        options.setdefault("match", None if "correlate" in options else _anything)
        return self.client.request(self.ask, script(say, beside), reply_to=self.answer, **options)

    def text(self, message):
        return message.payload.decode()

    @property
    def inbox(self):
        return self.client.inbox


class OverGrpc(Conversation):
    def __init__(self, client):
        super().__init__(client)
        self.stream = self.calls = client.stream("post.Post/Talk").__enter__()

    def send(self, *say, **beside):
        self.calls.send(self.payload(script(say, beside)))

    def payload(self, text):
        return {"text": text}

    def text(self, message):
        return message.text

    def close(self):
        self.stream.__exit__(None, None, None)

    @property
    def inbox(self):
        return self.stream.source.inbox


@pytest.fixture(scope="module")
def servers():
    """The URL of a server for each protocol that hooks are tried on."""
    yield from serve()


def script(say, beside):
    said = [[0, it] if isinstance(it, str) else list(it) for it in say]
    return json.dumps({**beside, "say": said} if beside else said)


def _anything(_message):
    return True


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    return request.param


@pytest.fixture
def conversation_of(protocol, postman, environment, reports, debian):
    """Opens conversations over the protocol; connecting is not in the reports."""
    if protocol == "mqtt":
        debian("mosquitto", not postman["mqtt"].endswith(":0"))
    opened = []

    def opens(**options):
        client = _client_class(protocol)(
            postman[protocol], session=attach(environment), **{"timeout": SOON, **options}
        )
        kinds = {"mqtt": OverMqtt, "grpc": OverGrpc}
        conversation = kinds.get(protocol, Conversation)(client.open())
        opened.append(conversation)
        reports.clear()
        return conversation

    yield opens
    for conversation in opened:
        conversation.close()
        conversation.client.close()


def _client_class(protocol):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRPC_ENABLE_FORK_SUPPORT", "0")  # other tests start servers meanwhile
        module, name = {
            "ws": ("websocket", "WebSocketClient"),
            "tcp": ("socket", "TcpClient"),
            "udp": ("socket", "UdpClient"),
            "mqtt": ("mqtt", "MqttClient"),
            "grpc": ("grpc", "GrpcClient"),
        }[protocol]
        kind = getattr(importlib.import_module(f"protouser_{module}"), name)
    if protocol != "grpc":
        return kind
    return lambda url, **options: kind(url, schema=str(HERE / "post.proto"), **options)


@pytest.fixture
def conversation(conversation_of):
    return conversation_of()
