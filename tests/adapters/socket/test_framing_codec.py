"""What a tester adds to framings: a function that finds the end, two that know objects."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

import pytest

from protouser import ConfigurationError, MalformedMessage
from protouser_socket._framing import (
    Decoder,
    Framing,
    codec,
    fixed_length,
    framing_function,
    idle_gap,
    length_prefix,
    lines,
    until_close,
)

from .framings import line_end, one_byte_length, outcome, payload_and_frame

POINT = struct.Struct(">hh")


def checked_point(payload):
    x, y = POINT.unpack(payload)
    if x < 0:
        raise MalformedMessage("a point left of the axis")
    return x, y


def record(buffer):
    """STX, text, ETX and one byte of checksum."""
    end = buffer.find(b"\x03")
    return end + 2 if end >= 0 else None


@pytest.mark.parametrize(
    ("framing", "message", "wire", "reply"),
    [
        (codec(fixed_length(4), encode=lambda p: POINT.pack(*p), decode=POINT.unpack),
         (1, -2), b"\0\1\xff\xfe", (1, -2)),
        (codec(lines(), encode=str.encode, decode=bytes.decode),
         "grüße", "grüße\n".encode(), "grüße"),
        (codec(lines(b"\3"), encode=bytes.fromhex, decode=bytes.hex), "02 41", b"\2A\3", "0241"),
        (codec(length_prefix(2), encode=lambda m: json.dumps(m).encode(), decode=json.loads),
         {"a": 1}, b'\0\x08{"a": 1}', {"a": 1}),
        (codec(framing_function(line_end), decode=bytes.split), b"a b\n", b"a b\n", [b"a", b"b"]),
        (codec(codec(lines(), encode=str.encode, decode=bytes.decode), encode=str, decode=int),
         12, b"12\n", 12),
        (codec(lines()), b"as it is", b"as it is\n", b"as it is"),
    ],
)  # fmt: skip
def test_messages_are_what_the_functions_take_and_return(framing, message, wire, reply):
    assert payload_and_frame(framing, message) == wire
    assert outcome(framing, [wire]) == ([reply], None, [], None)


def test_a_codec_is_a_value_that_says_what_it_is_made_of():
    framing = codec(lines(), encode=str.encode, decode=bytes.decode)
    assert framing == codec(lines(), encode=str.encode, decode=bytes.decode)
    assert framing != codec(lines(), encode=str.encode)
    assert repr(framing) == r"codec(lines(b'\n'), encode=str.encode, decode=bytes.decode)"
    assert repr(framing_function(line_end, limit=9)) == "framing_function(line_end, limit=9)"
    assert hash(framing)


@pytest.mark.parametrize(
    "build",
    [
        lambda: codec(b"\n"),
        lambda: codec(lines),
        lambda: codec(lines(), decode="utf-8"),
        lambda: codec(lines(), encode=b"x"),
        lambda: framing_function(b"\n"),
        lambda: framing_function(line_end, limit=0),
    ],
)
def test_what_is_no_framing_and_no_function_is_a_configuration_error(build):
    with pytest.raises(ConfigurationError):
        build()


def test_a_message_that_cannot_be_decoded_is_a_fault_after_those_that_can():
    framing = codec(lines(), decode=int)
    decoder = framing.decoder()
    assert decoder.feed(b"1\n2\nthree\n4\n") == [1, 2]
    text = "a message cannot be decoded: int() of the codec raised ValueError"
    assert str(decoder.fault) == text
    assert isinstance(decoder.fault.__cause__, ValueError)
    assert decoder.feed(b"5\n") == []
    with pytest.raises(MalformedMessage, match=r"int\(\) of the codec"):
        decoder.finish()


def test_a_fault_of_the_framing_comes_after_what_was_decoded():
    messages, fault, _, _ = outcome(codec(lines(limit=3), decode=int), [b"1\n2\n1234\n"])
    assert messages == [1, 2]
    assert "limit of 3 bytes" in fault


def test_a_tester_says_in_his_own_words_what_is_malformed():
    decoder = codec(fixed_length(4), decode=checked_point).decoder()
    assert decoder.feed(POINT.pack(1, 1) + POINT.pack(-1, 1)) == [(1, 1)]
    assert str(decoder.fault) == "a point left of the axis"


def test_the_end_and_the_silence_reach_through_a_codec():
    whole = codec(until_close(), decode=bytes.decode).decoder()
    assert whole.feed(b"hello") == []
    assert whole.rest == b"hello"
    assert whole.finish() == ["hello"]
    paused = codec(codec(idle_gap(0.5), decode=bytes.decode), decode=int).decoder()
    assert paused.idle_gap == 0.5
    paused.feed(b"12")
    assert paused.flush() == [12]
    paused.feed(b"x")
    assert paused.flush() == []
    assert "int() of the codec" in str(paused.fault)
    whole.feed(b"\xff")
    with pytest.raises(MalformedMessage, match=r"bytes\.decode|decode\(\) of the codec"):
        whole.finish()


def test_what_encode_raises_is_the_testers_own():
    with pytest.raises(struct.error):
        codec(lines(), encode=POINT.pack).payload(1)


@pytest.mark.parametrize(
    ("find_end", "stream", "messages"),
    [
        (line_end, b"one\ntwo\nthr", [b"one\n", b"two\n"]),
        (one_byte_length, b"\1a\0\2bc\3d", [b"\1a", b"\0", b"\2bc"]),
        (record, b"\2ab\3!\2c\3?\2d\3", [b"\2ab\3!", b"\2c\3?"]),
    ],
)
def test_a_function_finds_the_messages_whole_and_with_what_marks_them(find_end, stream, messages):
    for pieces in ([stream], [bytes([byte]) for byte in stream]):
        assert outcome(framing_function(find_end), pieces)[0] == messages


def test_a_function_is_asked_again_only_when_there_is_what_it_wanted():
    asked = []

    def total(buffer):
        asked.append(len(buffer))
        return 4 if len(buffer) < 4 else 4 + int.from_bytes(buffer[:4], "big")

    framing = framing_function(total)
    stream = (1000).to_bytes(4, "big") + b"x" * 1000
    pieces = [bytes([byte]) for byte in stream * 2]
    assert outcome(framing, pieces)[0] == [stream, stream]
    assert asked == [1, 4, 1004] * 2


@pytest.mark.parametrize(
    ("find_end", "fault"),
    [
        (lambda buffer: -1, "<lambda>() of the framing returned no length above 0, and not None"),
        (lambda buffer: 0, "returned no length above 0"),
        (lambda buffer: True, "returned no length above 0"),
        (lambda buffer: "4", "returned no length above 0"),
        (lambda buffer: buffer[100], "<lambda>() of the framing raised IndexError"),
        (lambda buffer: 11, "found no message within the limit of 10 bytes"),
        (lambda buffer: None if len(buffer) < 20 else 20, "within the limit of 10 bytes"),
    ],
)
def test_a_function_that_is_wrong_is_a_fault_that_names_it(find_end, fault):
    decoder = framing_function(find_end, limit=10).decoder()
    assert decoder.feed(b"x" * 11) == []
    assert fault in str(decoder.fault)
    assert decoder.feed(b"x") == []


def test_a_function_says_in_its_own_words_what_is_malformed():
    def greeting(buffer):
        if buffer[:1] != b"+":
            raise MalformedMessage("the server did not greet")
        return line_end(buffer)

    decoder = framing_function(greeting).decoder()
    assert decoder.feed(b"+OK\n-NO\n") == [b"+OK\n"]
    assert str(decoder.fault) == "the server did not greet"


class _HalvesDecoder(Decoder):
    def feed(self, data):
        self.rest += data
        whole = len(self.rest) // 2 * 2
        found = [bytes(self.rest[place : place + 2]) for place in range(0, whole, 2)]
        del self.rest[:whole]
        return found


@dataclass(frozen=True)
class Halves(Framing):
    """A framing of a tester's own, with no more than it needs."""

    def encode(self, payload):
        return payload

    def decoder(self):
        return _HalvesDecoder()


def test_a_framing_of_ones_own_needs_encode_and_a_decoder_with_feed():
    assert outcome(Halves(), [b"abc", b"d", b"ef"]) == ([b"ab", b"cd", b"ef"], None, [], None)
    assert outcome(Halves(), [b"abc"])[3] == "the connection ended in the middle of a message"
    assert outcome(codec(Halves(), decode=int), [b"123", b"4"])[0] == [12, 34]
    assert Halves().payload("as it is") == "as it is"
