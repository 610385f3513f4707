"""The packets of publishing: read and written as the standard and as paho have them."""

from __future__ import annotations

import contextlib
import itertools
import struct

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes

from protouser import MalformedMessage, Url
from protouser_mqtt._message import Outgoing
from protouser_mqtt._packets import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    Framer,
    publish_packet,
    pubrel_packet,
    read_acknowledgement,
    remaining_length,
)
from protouser_mqtt._paho import _LOCKS, Codec, Stream
from protouser_mqtt._settings import Settings, as_properties

TOPICS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20)
MESSAGES = st.builds(
    Outgoing,
    TOPICS,
    st.binary(max_size=300),
    st.integers(0, 2),
    st.booleans(),
    st.none(),
)


def paho_packet(message, mid, version):
    """The same message as paho writes it."""
    sent = []
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTProtocolVersion(version)
    )
    client._packet_queue = lambda _command, packet, *_more: sent.append(bytes(packet)) or 0
    client._sock = Stream(None)
    topic, payload, qos, retain, properties = message
    client._send_publish(mid, topic.encode(), payload, qos, retain, properties=properties)
    return sent[0]


@given(MESSAGES, st.integers(1, 65_535), st.sampled_from([4, 5]))
def test_a_message_is_written_as_paho_writes_it(message, mid, version):
    packet = publish_packet(message, mid, version)
    assert packet == paho_packet(message, mid, version)
    assert len(packet) - remaining_length(message, version) in (2, 3)


@pytest.mark.parametrize("size", [0, 120, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_lengths_at_the_edges_of_their_digits(size):
    message = Outgoing("t", b"x" * size, 1, False, None)
    packet = publish_packet(message, 7, 4)
    assert packet == paho_packet(message, 7, 4)
    assert Framer().feed(packet) == [packet]


def test_properties_are_written():
    properties = as_properties(PacketTypes.PUBLISH, {"ContentType": "text/plain"}, 5)
    message = Outgoing("t", b"x", 2, True, properties)
    assert publish_packet(message, 7, 5) == paho_packet(message, 7, 5)


def acknowledgement(kind, mid, code=None, properties=b""):
    body = struct.pack("!H", mid)
    if code is not None:
        body += bytes([code]) + properties
    length = len(body)
    digits = bytes([length]) if length < 128 else bytes([length % 128 | 128, length // 128])
    return bytes([kind]) + digits + body


@given(
    st.sampled_from([PUBACK, PUBREC, PUBCOMP]),
    st.integers(1, 65_535),
    st.none() | st.integers(0, 255),
    st.binary(max_size=200),
)
def test_acknowledgements_are_read(kind, mid, code, properties):
    packet = acknowledgement(kind, mid, code, properties)
    assert read_acknowledgement(packet) == (mid, code or 0)


@pytest.mark.parametrize("packet", [b"\x40\0", b"\x40\1a"])
def test_an_acknowledgement_of_nothing_is_malformed(packet):
    with pytest.raises(MalformedMessage, match="without a packet identifier"):
        read_acknowledgement(packet)


def test_the_answer_to_pubrec():
    assert pubrel_packet(0x1234) == b"\x62\2\x12\x34"


@given(st.lists(MESSAGES, max_size=6), st.lists(st.integers(0, 3000), max_size=20))
def test_packets_are_found_however_the_stream_is_cut(messages, places):
    packets = [publish_packet(message, 1, 4) for message in messages]
    stream = b"".join(packets)
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    framer = Framer()
    pieces = [stream[start:end] for start, end in itertools.pairwise(bounds)]
    assert [packet for piece in pieces for packet in framer.feed(piece)] == packets


def test_byte_by_byte_is_the_same_as_all_at_once():
    message = publish_packet(Outgoing("t", b"x" * 200, 0, False, None), 0, 4)
    packets = [b"\xd0\0", b"\x40\2\0\1", message]
    stream = b"".join(packets) * 2
    framer = Framer()
    assert [p for byte in stream for p in framer.feed(bytes([byte]))] == packets * 2
    assert Framer().feed(stream) == packets * 2


def test_a_length_without_end_is_malformed():
    with pytest.raises(MalformedMessage, match="more than four digits"):
        Framer().feed(b"\x30\xff\xff\xff\xff\x01")


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_no_bytes_make_it_raise_anything_else(pieces):
    framer = Framer()
    with contextlib.suppress(MalformedMessage):
        for piece in pieces:
            assert all(type(packet) is bytes for packet in framer.feed(piece))


def test_what_is_used_of_paho_that_is_not_public():
    """When this fails, paho has changed inside: look at ``_paho.py``."""
    for hook in ("_create_socket", "_mid_generate"):
        assert callable(getattr(paho.Client, hook)), hook
    plain = paho.Client(paho.CallbackAPIVersion.VERSION2)
    for lock in _LOCKS:
        assert hasattr(plain, lock), lock
    stream = Stream(lambda data: sent.append(bytes(data)))
    sent, numbers = [], iter((0x0102, 0x0304))
    settings = Settings.of(Url("mqtt", "localhost"), {"client_id": "me"}, "test")
    codec = Codec(settings, stream, lambda: next(numbers))
    codec.connect("localhost", 1883)
    assert sent == [], "nothing is written before it is asked to"
    codec.loop_write()
    assert sent[0][:1] == b"\x10"
    assert codec.subscribe("a")[1] == 0x0102
    codec.loop_write()
    assert sent[1][:4] == b"\x82\x06\x01\x02"
