"""The rules of RFC 6455 that need no connection."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser_websocket._protocol import (
    BINARY,
    CONTINUATION,
    TEXT,
    Assembler,
    Close,
    Fault,
    check_header,
    close_payload,
    parse_close,
)


def pieces_of(data, cuts):
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def assembled(opcode, pieces, assembler=None):
    assembler = assembler or Assembler()
    for number, piece in enumerate(pieces):
        kind = CONTINUATION if number else opcode
        assembler.check_length(kind, len(piece))
        message = assembler.add(int(number == len(pieces) - 1), kind, piece)
        assert (message is None) == (number < len(pieces) - 1)
    return message


@given(st.text(), st.lists(st.integers(0, 1000), max_size=5))
def test_text_is_the_same_however_it_is_cut(text, cuts):
    assert assembled(TEXT, pieces_of(text.encode(), cuts)) == text


@given(st.binary(), st.lists(st.integers(0, 1000), max_size=5))
def test_so_are_bytes(data, cuts):
    assert assembled(BINARY, pieces_of(data, cuts)) == data


@given(st.binary(), st.lists(st.integers(0, 1000), max_size=5))
def test_text_is_accepted_exactly_where_python_accepts_it(data, cuts):
    try:
        expected = data.decode()
    except UnicodeDecodeError:
        with pytest.raises(Fault) as caught:
            assembled(TEXT, pieces_of(data, cuts))
        assert caught.value.code == 1007
    else:
        assert assembled(TEXT, pieces_of(data, cuts)) == expected


def test_wrong_text_is_found_in_the_fragment_that_has_it():
    assembler = Assembler()
    assert assembler.add(0, TEXT, "κό".encode()) is None
    with pytest.raises(Fault):
        assembler.add(0, CONTINUATION, b"\xf4\x90")


def test_messages_follow_each_other():
    assembler = Assembler(limit=10)
    for _ in range(3):
        assert assembled(TEXT, [b"12345", b"67890"], assembler) == "1234567890"
        assert assembled(BINARY, [b"1234567890"], assembler) == b"1234567890"


@pytest.mark.parametrize(
    "pieces", [[b"12345678901"], [b"123456", b"78901"], [b"1" * 10, b"", b"1"]]
)
def test_a_message_beyond_the_limit_is_refused_before_it_is_read(pieces):
    with pytest.raises(Fault) as caught:
        assembled(BINARY, pieces, Assembler(limit=10))
    assert (caught.value.code, caught.value.reason) == (
        1009,
        "a message is longer than max_size=10",
    )


def test_a_continuation_continues_something():
    with pytest.raises(Fault, match="continues nothing"):
        Assembler().check_length(CONTINUATION, 0)


def test_no_message_begins_in_another():
    assembler = Assembler()
    assembler.add(0, TEXT, b"")
    with pytest.raises(Fault, match="in the middle of another"):
        assembler.check_length(TEXT, 0)


@given(st.integers(0, 255), st.integers(0, 255))
def test_headers_are_accepted_exactly_where_section_5_allows_them(first, second):
    opcode, control = first & 15, first & 8
    allowed = (
        not first & 0x70
        and opcode in (0, 1, 2, 8, 9, 10)
        and not second & 0x80
        and not (control and (not first & 0x80 or second & 0x7F > 125))
    )
    if allowed:
        assert check_header(first, second) == (first >> 7, 0, 0, 0, opcode, 0, second & 0x7F)
    else:
        with pytest.raises(Fault) as caught:
            check_header(first, second)
        assert caught.value.code == 1002


@given(st.integers(1000, 4999), st.text())
def test_what_a_close_frame_says_can_be_read_again(code, reason):
    payload = close_payload(code, reason)
    assert len(payload) <= 125
    allowed = code in (*range(1000, 1004), *range(1007, 1015)) or code >= 3000
    if allowed:
        close = parse_close(payload)
        assert close.code == code
        assert reason.startswith(close.reason)
        assert close.reason == reason or len(reason.encode()) > 123 - 4
    else:
        with pytest.raises(Fault, match="must not be sent"):
            parse_close(payload)


@pytest.mark.parametrize(
    ("payload", "code"), [(b"\x03", 1002), (b"\x00\x00", 1002), (b"\x03\xe8\xff", 1007)]
)
def test_close_frames_that_must_not_be(payload, code):
    with pytest.raises(Fault) as caught:
        parse_close(payload)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("payload", "text", "orderly"),
    [
        (b"", "without a code", True),
        (close_payload(1000), "1000 normal closure", True),
        (close_payload(1001), "1001 going away", True),
        (close_payload(1011, "full"), "1011 internal error (full)", False),
        (close_payload(4001, "kicked"), "4001 (kicked)", False),
    ],
)
def test_how_a_close_is_told(payload, text, orderly):
    close = parse_close(payload)
    assert (str(close), close.orderly) == (text, orderly)


def test_no_close_is_told():
    assert parse_close(b"") == Close()
