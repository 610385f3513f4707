"""Servers for the tests: a real one in a process of its own, and one that says anything."""

from __future__ import annotations

from locust.env import Environment

import base64
import hashlib
import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import gevent
import pytest
import trustme

from protouser import attach, now
from protouser.testing import capture
from protouser_websocket import WebSocketClient

SOON = 30.0  # only a hang takes longer


class Server:
    """The process of ``server.py``."""

    def __init__(self, cert=None):
        command = [
            sys.executable,
            str(Path(__file__).with_name("server.py")),
            *([cert] if cert else []),
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ports = json.loads(self.process.stdout.readline())

    def url(self, path="/", scheme="ws", name=None):
        return f"{scheme}://127.0.0.1:{self.ports[name or scheme]}{path}"

    def stats(self):
        url = f"http://127.0.0.1:{self.ports['ws']}/stats"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=SOON) as answer:
            return json.load(answer)

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(SOON)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder


@pytest.fixture(scope="module")
def server(certificates):
    server = Server(str(certificates / "server.pem"))
    yield server
    server.end()


@pytest.fixture
def environment():
    return Environment()


@pytest.fixture
def reports(environment):
    with capture(environment) as reports:
        yield reports


@pytest.fixture
def connected(environment, reports):
    """Opens clients, and closes them afterwards."""
    clients = []

    def opened(url, **options):
        options.setdefault("timeout", SOON)
        client = WebSocketClient(url, session=attach(environment), **options)
        clients.append(client)
        return client.open()

    yield opened
    for client in clients:
        client.close()


@pytest.fixture
def until():
    def wait(condition):
        deadline = now() + SOON
        while not condition():
            assert now() < deadline
            gevent.sleep(0.005)

    return wait


def accept_of(request):
    key = next(
        line.partition(b":")[2].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    )
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest)


class Peer:
    """A listening socket whose connections are served by a function of the test.

    Attributes:
        received: what came after the upgrade, of all connections.
        ended: how many connections were read to their end.
        errors: what the function raised.
    """

    def __init__(self, serve, upgrade=True):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._serve, self._upgrade = serve, upgrade
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.received = bytearray()
        self.ended = 0
        self.errors = []
        self._greenlets = [gevent.spawn(self._accept)]

    def _accept(self):
        while True:
            accepted, _ = self._listener.accept()
            self._greenlets.append(gevent.spawn(self._run, accepted))

    def _run(self, sock):
        with sock:
            try:
                if self._upgrade:
                    upgrade(sock)
                self._serve(sock)
            except OSError:
                pass
            except Exception as error:
                self.errors.append(error)

    def read_all(self, sock):
        """Keep what comes until the end."""
        try:
            while data := sock.recv(65536):
                self.received += data
        finally:
            self.ended += 1

    def end(self):
        gevent.killall(self._greenlets, timeout=SOON)
        self._listener.close()
        assert self.errors == []


def upgrade_answer(sock, extra=b""):
    request = b""
    while b"\r\n\r\n" not in request:
        request += sock.recv(65536)
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    answer += b"Sec-WebSocket-Accept: " + accept_of(request) + b"\r\n" + extra + b"\r\n"
    return answer


def upgrade(sock, extra=b"", then=b""):
    sock.sendall(upgrade_answer(sock, extra) + then)


@pytest.fixture
def peer():
    """Starts servers that say what a function of the test lets them say."""
    peers = []

    def start(serve, upgrade=True):
        peers.append(Peer(serve, upgrade))
        return peers[-1]

    yield start
    for started in peers:
        started.end()


def unmasked(data):
    """The frames of a client as (opcode, payload)."""
    frames = []
    while data:
        opcode, length, place = data[0] & 15, data[1] & 127, 2
        if length == 126:
            length, place = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, place = int.from_bytes(data[2:10], "big"), 10
        mask = data[place : place + 4]
        body = data[place + 4 : place + 4 + length]
        frames.append((opcode, bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))))
        data = data[place + 4 + length :]
    return frames
