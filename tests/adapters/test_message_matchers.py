"""What kind of message it is, as each protocol says it; and how late one was gone on with."""

from __future__ import annotations

from locust.env import Environment

import re
from collections import defaultdict

import pytest
from google.protobuf import descriptor_pb2, duration_pb2
from google.protobuf import struct_pb2 as protobuf

from protouser import NotFound, ProtocolUser, extract_field, field, now
from protouser._checks import run_check
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


FILE = descriptor_pb2.FileDescriptorProto(
    name="shop.proto",
    message_type=[
        descriptor_pb2.DescriptorProto(
            name="Order", field=[descriptor_pb2.FieldDescriptorProto(name="price", number=7)]
        )
    ],
)


def test_fields_of_protobuf_messages():
    assert field("message_type[0].field[-1].number", 7)(FILE)
    assert field("message_type[0].name", lambda name: name.startswith("Or"))(FILE)
    assert extract_field("message_type[0].field[0].name", FILE) == "price"
    reply = protobuf.Value(struct_value={"fields": {"a": 1.5}, "list": ["x", None]})
    assert field("struct_value.fields.a", 1.5)(reply)
    assert extract_field("struct_value.list[0]", reply) == "x"
    assert not field("name", "shop")(FILE)
    assert run_check(field("name", "shop"), FILE).startswith("expected field('name', 'shop'), got")


def test_what_is_not_set_in_a_protobuf_message_is_not_there():
    for path in ("options", "options.java_package", "message_type[1]", "package", "no_such_field"):
        assert not field(path)(FILE)
        with pytest.raises(NotFound, match=f"there is no field {re.escape(repr(path))} in name:"):
            extract_field(path, FILE)
        assert extract_field(path, FILE, default=None) is None
    reply = protobuf.Value(number_value=0)
    assert field("number_value", 0)(reply)
    assert not field("string_value", "")(reply), "another member of the same oneof is set"
    duration = duration_pb2.Duration()
    assert field("seconds", 0)(duration), "a number of proto3 is always there"


def test_looking_for_a_key_of_a_map_does_not_make_it():
    reply = protobuf.Struct()
    reply.update({"a": 1})
    assert field("a", 1)(reply)
    assert not field("b")(reply)
    assert not field("c.d")(defaultdict(dict))
    assert list(reply.fields) == ["a"]


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
