"""What kind of message it is, as each protocol says it; and how late one was gone on with."""

from __future__ import annotations

from locust.env import Environment

import pytest
from google.protobuf import struct_pb2 as protobuf

from protouser import ProtocolUser, now
from protouser.testing import ScriptedServer
from protouser_grpc import message_type
from protouser_mqtt import topic
from protouser_websocket import binary, text


@pytest.mark.parametrize(("message", "is_text"), [("hello", True), (b"hello", False)])
def test_text_and_binary_messages_of_a_websocket(message, is_text):
    assert text()(message) is is_text
    assert binary()(message) is not is_text
    assert (~text())(message) is not is_text


class Published:
    def __init__(self, name):
        self.topic = name
        self.payload = b""


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [("a/+", "a/b", True), ("a/+", "a/b/c", False), ("a/#", "a/b/c", True), ("a", "b", False)],
)
def test_topics_of_mqtt(pattern, name, fits):
    assert topic(pattern)(Published(name)) is fits


def test_types_of_protobuf_messages():
    message = protobuf.Value(string_value="x")
    assert message_type("google.protobuf.Value")(message)
    assert message_type("Value")(message)
    assert not message_type("Struct")(message)
    assert message_type("Struct")(protobuf.Value(struct_value=protobuf.Struct()))
    assert not message_type("Value")({"plain": "dict"})


class Someone(ProtocolUser):
    pass


def test_going_on_late_with_a_reply_is_a_series_and_no_part_of_the_response_time():
    """The predicate runs between the arrival and the wake-up, and keeps the hub for 20 ms there."""

    def slow(_message):
        until = now() + 0.02
        while now() < until:
            pass
        return True

    environment = Environment()
    with ScriptedServer("echo") as server:
        user = Someone(environment)
        client = user.open(server.url)
        client.request(b"hello", match=slow)
        user._close()
    figures = user._session.results()
    late = figures.timed["tcp", "request", "late wake", "success"]
    service = figures.timed["tcp", "request", "service", "success"]
    assert late.count == service.count == 1
    assert late.minimum >= 20_000_000
