"""Framings: what is encoded is decoded, however the stream is cut; nonsense is found out."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import ConfigurationError, MalformedMessage
from protouser_socket import Framing, length_prefix, lines

FRAMINGS = [
    lines(),
    lines(b"\r\n"),
    lines(b"--end--"),
    length_prefix(),
    length_prefix(1),
    length_prefix(2, "little"),
    length_prefix(3, includes_itself=True),
    length_prefix(8, "little", includes_itself=True),
]

PAYLOADS = st.lists(
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"").replace(b"-", b""))
)


def cut(stream, places):
    """``stream`` in pieces, as TCP may deliver it."""
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(bounds)]


@pytest.mark.parametrize("framing", FRAMINGS, ids=repr)
@given(payloads=PAYLOADS, places=st.lists(st.integers(0, 10_000), max_size=30))
def test_what_is_encoded_is_decoded_however_the_stream_is_cut(framing, payloads, places):
    stream = b"".join(framing.encode(payload) for payload in payloads)
    decoder = framing.decoder()
    decoded = [message for piece in cut(stream, places) for message in decoder.feed(piece)]
    assert decoded == payloads
    assert decoder.fault is None
    decoder.finish()


@pytest.mark.parametrize("framing", FRAMINGS, ids=repr)
def test_byte_by_byte_is_the_same_as_all_at_once(framing):
    payloads = [b"", b"a", b"two words", b"x" * 200]
    stream = b"".join(framing.encode(payload) for payload in payloads)
    decoder = framing.decoder()
    assert [m for byte in stream for m in decoder.feed(bytes([byte]))] == payloads
    assert framing.decoder().feed(stream) == payloads


@pytest.mark.parametrize("framing", FRAMINGS, ids=repr)
def test_an_end_in_the_middle_of_a_message_says_so_without_numbers(framing):
    stream = framing.encode(b"whole") + framing.encode(b"half a message")[:-3]
    decoder = framing.decoder()
    assert decoder.feed(stream) == [b"whole"]
    with pytest.raises(
        MalformedMessage, match=r"^the connection ended in the middle of a message$"
    ):
        decoder.finish()


def test_the_decoders_of_one_framing_do_not_share_what_they_received():
    framing = lines()
    first, second = framing.decoder(), framing.decoder()
    first.feed(b"ab")
    assert second.feed(b"c\n") == [b"c"]
    assert first.feed(b"c\n") == [b"abc"]


def test_the_wire_format_of_each_framing():
    assert lines().encode(b"hello") == b"hello\n"
    assert length_prefix().encode(b"hello") == b"\0\0\0\5hello"
    assert length_prefix(2, "little", includes_itself=True).encode(b"hello") == b"\7\0hello"


def test_a_framing_is_a_value():
    assert lines() == lines(b"\n")
    assert lines() != lines(b"\r\n")
    assert isinstance(length_prefix(), Framing)
    with pytest.raises(AttributeError):
        lines().limit = 1


def test_a_payload_that_holds_the_terminator_is_refused():
    with pytest.raises(ConfigurationError, match=r"contains b'\\n', which ends a message"):
        lines().encode(b"two\nlines")


def test_a_payload_that_is_longer_than_the_prefix_can_say_is_refused():
    with pytest.raises(ConfigurationError, match="longer than a length of 1 bytes can say"):
        length_prefix(1).encode(b"x" * 256)
    assert length_prefix(1).encode(b"x" * 255)


@pytest.mark.parametrize(
    "build",
    [
        lambda: lines(b""),
        lambda: length_prefix(0),
        lambda: length_prefix(9),
        lambda: length_prefix(4, "middle"),
    ],
)
def test_a_framing_that_cannot_be_is_a_configuration_error(build):
    with pytest.raises(ConfigurationError):
        build()


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 6, b"x" * 6], [b"x" * 11 + b"\nok\n"]])
def test_a_line_longer_than_the_limit_is_a_fault_and_nothing_follows(pieces):
    decoder = lines(limit=10).decoder()
    assert [message for piece in pieces for message in decoder.feed(piece)] == []
    assert isinstance(decoder.fault, MalformedMessage)
    assert "limit of 10 bytes" in str(decoder.fault)
    assert decoder.feed(b"more\n") == []
    with pytest.raises(MalformedMessage, match="limit of 10 bytes"):
        decoder.finish()


def test_a_line_as_long_as_the_limit_is_no_fault():
    decoder = lines(limit=10).decoder()
    assert decoder.feed(b"x" * 10 + b"\n" + b"y" * 10) == [b"x" * 10]
    assert decoder.feed(b"\n") == [b"y" * 10]
    assert decoder.fault is None


def test_what_came_whole_before_the_fault_is_returned():
    assert lines(limit=10).decoder().feed(b"good\n" + b"x" * 11 + b"\nlost\n") == [b"good"]
    framing = length_prefix(limit=10)
    decoder = framing.decoder()
    assert decoder.feed(framing.encode(b"good") + b"\xff\xff\xff\xffnonsense") == [b"good"]
    assert "more than 10 bytes" in str(decoder.fault)
    assert decoder.feed(framing.encode(b"late")) == []


def test_a_length_that_is_less_than_its_own_size_is_a_fault():
    decoder = length_prefix(4, includes_itself=True).decoder()
    assert decoder.feed(b"\0\0\0\3") == []
    assert "less than its own size" in str(decoder.fault)


def test_a_long_message_in_many_pieces_takes_linear_time():
    """Bytes copied must not grow with the square of the pieces: 8 MiB in 32 byte pieces."""
    for framing in (lines(), length_prefix()):
        stream = framing.encode(b"x" * (8 * 1024 * 1024))
        decoder, view = framing.decoder(), memoryview(stream)
        messages = []
        for start in range(0, len(stream), 4096):
            messages += decoder.feed(bytes(view[start : start + 4096]))
        assert [len(message) for message in messages] == [8 * 1024 * 1024]


@given(st.lists(st.binary(max_size=60), max_size=10))
@pytest.mark.parametrize("framing", FRAMINGS, ids=repr)
def test_no_bytes_whatever_make_a_decoder_raise(framing, pieces):
    decoder = framing.decoder()
    for piece in pieces:
        assert all(type(message) is bytes for message in decoder.feed(piece))
