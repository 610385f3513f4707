"""The proxy of HTTP in this process: who may use it, and that it holds no more than it must."""

from __future__ import annotations

import base64
import socket

import gevent
import pytest
from gevent.server import StreamServer

from protouser.net import Proxy, ProxyBridge

from .conftest import WITHIN, eventually

CHUNK = b"." * 65_536
CHUNKS = 4_000  # 262 MB; the kernel may keep 36 MB for each of the three connections


@pytest.fixture
def bridge(proxy_named):
    bridge = ProxyBridge(Proxy.parse(proxy_named("microsocks").url("socks5")), "tcp://there")
    yield bridge
    bridge.close()


@pytest.fixture
def ask(bridge):
    """Ask the bridge for a tunnel; the socket and the head of the answer."""
    opened = []

    def ask_for(port, *headers, more=b"", line=None):
        sock = socket.create_connection((bridge.proxy.host, bridge.proxy.port), WITHIN)
        opened.append(sock)
        line = line or f"CONNECT 127.0.0.1:{port} HTTP/1.1"
        sock.sendall("\r\n".join((line, *headers, "", "")).encode() + more)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        return sock, answer.decode()

    yield ask_for
    for sock in opened:
        sock.close()


def credentials(bridge, change=""):
    return f"Proxy-Authorization: {bridge.proxy.authorization}{change}"


def test_who_knows_the_word_is_connected(ask, bridge, ports):
    sock, answer = ask(ports["tcp"], credentials(bridge), more=b"at once")
    assert answer == "HTTP/1.1 200 OK\r\n\r\n"
    assert sock.recv(4096) == b"at once"
    sock.shutdown(socket.SHUT_WR)
    assert sock.recv(4096) == b""


def basic(words):
    return f"Proxy-Authorization: Basic {base64.b64encode(words).decode()}"


def test_who_does_not_know_it_is_asked_for_it(ask, bridge, ports):
    for headers in (
        [],
        [basic(b"bridge:wrong")],
        [basic(b"")],
        [credentials(bridge, "x")],
        [credentials(bridge)[:-1]],
        [f"X-{credentials(bridge)}"],
        [f"X: 1 {credentials(bridge)}"],
        [basic(b"bridge:wrong"), credentials(bridge)],
    ):
        answer = ask(ports["tcp"], *headers)[1]
        assert answer.startswith("HTTP/1.1 407 "), (headers, answer)
        assert 'Proxy-Authenticate: Basic realm="protouser"\r\n' in answer


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "CONNECT nowhere HTTP/1.1", "CONNECT h:1"])
def test_another_request_is_a_bad_one(ask, bridge, line):
    assert ask(0, credentials(bridge), line=line)[1].startswith("HTTP/1.1 400 ")


def test_a_server_that_cannot_be_reached_is_said(ask, bridge):
    answer = ask(1, credentials(bridge))[1]
    assert answer.startswith("HTTP/1.1 502 ")
    assert "does not connect to tcp://there" in str(bridge.failure)


@pytest.fixture
def flood():
    """A server that sends as fast as it may; its port, and a list of what it has sent."""
    sent = []

    def send(sock, _address):
        for _ in range(CHUNKS):
            sock.sendall(CHUNK)
            sent.append(len(CHUNK))
        sock.close()

    server = StreamServer(("127.0.0.1", 0), send)
    server.start()
    yield server.server_port, sent
    server.stop()


def test_a_slow_reader_slows_the_server_down_and_loses_nothing(ask, bridge, flood):
    port, sent = flood
    sock, _answer = ask(port, credentials(bridge))
    eventually(lambda: sent, "nothing was sent")
    before = -1
    while before != len(sent):
        before = len(sent)
        gevent.sleep(0.3)
    assert len(sent) < CHUNKS
    received = 0
    while data := sock.recv(1 << 20):
        received += len(data)
    assert received == CHUNKS * len(CHUNK)
