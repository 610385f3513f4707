"""Lengths in headers, as known protocols have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import ConfigurationError
from protouser_socket._framing import length_prefix

from .framings import cut, outcome


@pytest.mark.parametrize(
    ("framing", "payload", "wire"),
    [
        (length_prefix(), b"hello", b"\0\0\0\5hello"),
        (length_prefix(2, "little", includes_itself=True), b"hello", b"\7\0hello"),
        (length_prefix(3), b"hello", b"\0\0\5hello"),
        (length_prefix(8, "little"), b"hello", b"\5\0\0\0\0\0\0\0hello"),
        (length_prefix(1), b"", b"\0"),
        # PostgreSQL: a type, then a length that counts itself but not the type
        (
            length_prefix(4, offset=1, includes_itself=True, keep_header=True),
            b"Q....select",
            b"Q\0\0\0\x0aselect",
        ),
        # MongoDB: 16 bytes of header that begin with the length of everything
        (
            length_prefix(4, "little", header=16, includes_header=True, keep_header=True),
            b"...." + b"h" * 12 + b"hello",
            b"\x15\0\0\0" + b"h" * 12 + b"hello",
        ),
        # TDS: type, status, length of everything, four bytes more
        (
            length_prefix(2, offset=2, header=b"\x01\x01..\0\0\1\0", includes_header=True),
            b"hello",
            b"\x01\x01\0\x0d\0\0\1\0hello",
        ),
        # Modbus: transaction, protocol, length of what follows
        (
            length_prefix(2, offset=4, keep_header=True),
            b"\0\7\0\0..\x11\x03\0\1",
            b"\0\7\0\0\0\4\x11\x03\0\1",
        ),
        # one byte of type and one of flags follow the length and are not counted
        (length_prefix(2, header=4), b"hello", b"\0\5\0\0hello"),
    ],
)
def test_the_length_stands_where_the_protocol_has_it(framing, payload, wire):
    assert framing.encode(payload) == wire
    expected = wire if framing.keep_header else payload
    assert outcome(framing, [wire * 3]) == ([expected] * 3, None, [], None)


@given(
    size=st.integers(1, 8),
    byteorder=st.sampled_from(["big", "little"]),
    offset=st.integers(0, 5),
    more=st.integers(0, 5),
    counts=st.sampled_from(["", "includes_itself", "includes_header"]),
    keep=st.booleans(),
    bodies=st.lists(st.binary(max_size=60), max_size=6),
    places=st.lists(st.integers(0, 10_000), max_size=20),
)
def test_any_length_in_any_header(size, byteorder, offset, more, counts, keep, bodies, places):
    options = {counts: True} if counts else {}
    header = offset + size + more
    framing = length_prefix(
        size, byteorder, offset=offset, header=header, keep_header=keep, **options
    )
    room = bytes(header) if keep else b""
    frames = [framing.encode(room + body) for body in bodies]
    counted = {"": 0, "includes_itself": size, "includes_header": header}[counts]
    for frame, body in zip(frames, bodies, strict=True):
        said = int.from_bytes(frame[offset : offset + size], byteorder)
        assert said == len(body) + counted
        assert len(frame) == header + len(body)
    expected = frames if keep else bodies
    assert outcome(framing, cut(b"".join(frames), places)) == (expected, None, [], None)


@pytest.mark.parametrize(
    ("framing", "header"),
    [
        (length_prefix(1, includes_itself=True), b"\0"),
        (length_prefix(4, includes_itself=True), b"\0\0\0\3"),
        (length_prefix(2, offset=2, includes_header=True), b"aa\0\3"),
        (length_prefix(2, offset=2, includes_itself=True), b"aa\0\1"),
        (length_prefix(2, header=8, includes_header=True, keep_header=True), b"\0\7......"),
    ],
)
def test_a_length_that_is_less_than_what_it_counts_of_itself_is_a_fault(framing, header):
    messages, fault, _, _ = outcome(framing, [header, b"something"])
    assert messages == []
    assert "less than its own size" in fault


def test_a_negative_length_of_the_server_is_a_very_long_one_here():
    fault = outcome(length_prefix(4), [(-1).to_bytes(4, "big", signed=True)])[1]
    assert fault == (
        "a length prefix announces more than 16777216 bytes; is the framing the server's?"
    )


@pytest.mark.parametrize("keep", [True, False])
def test_the_limit_is_for_the_message_that_is_returned(keep):
    framing = length_prefix(2, offset=2, keep_header=keep, limit=10)
    body = 6 if keep else 10
    room = b"...." if keep else b""
    for size, messages in ((body, 1), (body + 1, 0)):
        found, fault, _, _ = outcome(framing, [framing.encode(room + b"x" * size)])
        assert len(found) == messages
        assert (fault is None) == bool(messages)


def test_a_payload_that_is_longer_than_the_prefix_can_say_is_refused():
    with pytest.raises(ConfigurationError, match="longer than a length of 1 bytes can say"):
        length_prefix(1).encode(b"x" * 256)
    assert length_prefix(1).encode(b"x" * 255)
    with pytest.raises(ConfigurationError, match="longer than a length of 1 bytes can say"):
        length_prefix(1, includes_itself=True).encode(b"x" * 255)


def test_a_payload_without_the_header_that_it_should_begin_with_is_refused():
    with pytest.raises(ConfigurationError, match="shorter than the 6 bytes of the header"):
        length_prefix(2, offset=4, keep_header=True).encode(b"12345")


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": 9},
        {"size": "4"},
        {"size": True},
        {"byteorder": "middle"},
        {"offset": -1},
        {"offset": 1.0},
        {"header": 3},
        {"header": b"..."},
        {"header": "12345678"},
        {"header": -1},
        {"offset": 2, "header": 5},
        {"header": 100, "limit": 99},
    ],
    ids=repr,
)
def test_a_header_that_cannot_be_is_a_configuration_error(options):
    with pytest.raises(ConfigurationError, match=r"length_prefix|byteorder"):
        length_prefix(**options)
