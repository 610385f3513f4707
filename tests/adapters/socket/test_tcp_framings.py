"""Framings on a real connection: messages that the end or a silence completes, and objects."""

from __future__ import annotations

from locust.env import Environment

import struct
from contextlib import suppress

import gevent
import pytest
from gevent.server import StreamServer

from protouser import ConfigurationError, ConnectionLost, MalformedMessage, attach, now
from protouser.testing import capture
from protouser_socket import TcpClient
from protouser_socket._framing import codec, fixed_length, idle_gap, lines, until_close

SOON = 30.0  # only a hang takes longer
GAP = 0.4
POINT = struct.Struct(">hh")


@pytest.fixture
def environment():
    return Environment()


@pytest.fixture
def reports(environment):
    with capture(environment) as reports:
        yield reports


@pytest.fixture
def client_of(environment, reports):
    """Connects to a server that does ``serve(sock)`` with each connection."""
    opened = []

    def connect(serve, framing):
        def handle(sock, address):
            del address
            with suppress(OSError):
                serve(sock)

        server = StreamServer(("127.0.0.1", 0), handle)
        server.start()
        url = f"tcp://127.0.0.1:{server.server_port}"
        client = TcpClient(url, session=attach(environment), timeout=SOON, framing=framing)
        opened.append((client, server))
        return client.open()

    yield connect
    for client, server in opened:
        client.close()
        server.stop(timeout=1)


def answer_and_close(sock):
    sock.sendall(b"answer to " + sock.recv(100))


def echo_in_pieces(sock):
    while data := sock.recv(100):
        for byte in data:
            sock.sendall(bytes([byte]))
            gevent.sleep(GAP / 100)


def names(reports):
    return [(report.name, report.exception and str(report.exception)) for report in reports]


def test_the_end_of_the_connection_ends_the_reply_and_the_next_request_connects(client_of, reports):
    client = client_of(answer_and_close, until_close())
    assert client.request(b"one") == b"answer to one"
    assert client.request(b"two") == b"answer to two"
    assert names(reports) == [("connect", None), ("request", None)] * 2


def test_a_connection_that_ends_without_a_byte_has_no_reply(client_of, reports):
    client = client_of(lambda sock: sock.recv(100), until_close())
    with pytest.raises(ConnectionLost, match=r"closed the connection$"):
        client.request(b"one")
    assert reports[-1].exception is not None


def test_a_silence_ends_the_reply_and_is_no_part_of_its_time(client_of, reports):
    client = client_of(echo_in_pieces, idle_gap(GAP))
    began = now()
    assert client.request(b"hello") == b"hello"
    assert now() - began >= GAP
    assert client.request(b"world") == b"world"
    assert names(reports) == [("connect", None), ("request", None), ("request", None)]
    assert sum(report.response_time for report in reports[1:]) / 1000 < now() - began - 2 * GAP


def test_the_end_ends_what_a_silence_would_have_ended(client_of):
    client = client_of(answer_and_close, idle_gap(SOON * 2))
    assert client.request(b"one") == b"answer to one"


def test_objects_go_there_and_back(client_of):
    def echo(sock):
        while data := sock.recv(100):
            sock.sendall(data)

    points = codec(fixed_length(4), encode=lambda point: POINT.pack(*point), decode=POINT.unpack)
    client = client_of(echo, points)
    assert client.request((1, -2), check=lambda reply: reply == (1, -2)) == (1, -2)


def test_an_encode_that_returns_no_bytes_is_told(client_of):
    client = client_of(lambda sock: sock.recv(100), codec(lines(), encode=int))
    with pytest.raises(ConfigurationError, match="a payload is bytes or str, not int"):
        client.request("12")


@pytest.mark.parametrize("framing", [codec(idle_gap(GAP), decode=int), codec(lines(), decode=int)])
def test_a_reply_that_cannot_be_decoded_is_malformed(client_of, framing):
    client = client_of(lambda sock: (sock.sendall(b"words\n"), sock.recv(9), sock.recv(9)), framing)
    with pytest.raises(MalformedMessage, match=r"int\(\) of the codec raised ValueError"):
        client.request(b"1")
