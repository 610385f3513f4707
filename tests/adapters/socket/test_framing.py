"""Framings: what is encoded is decoded, however the stream is cut; nonsense is found out."""

from __future__ import annotations

import itertools
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import ConfigurationError, MalformedMessage
from protouser_socket import _framing
from protouser_socket._framing import (
    DEFAULT_LIMIT,
    Decoder,
    Framing,
    delimiter,
    fixed_length,
    idle_gap,
    length_prefix,
    lines,
    nul,
    stx_etx,
    until_close,
)

from .framings import (
    COUNTED,
    DELIMITED,
    ENDED,
    FRAMED,
    MARKS,
    NARROW,
    cut,
    outcome,
    payload_and_frame,
)

MESSAGES = st.lists(st.binary(max_size=40).map(lambda data: data.translate(None, MARKS)))
PLACES = st.lists(st.integers(0, 10_000), max_size=30)


@pytest.mark.parametrize("framing", FRAMED, ids=repr)
@given(messages=MESSAGES, places=PLACES)
def test_what_is_encoded_is_decoded_however_the_stream_is_cut(framing, messages, places):
    stream = b"".join(payload_and_frame(framing, message) for message in messages)
    assert outcome(framing, cut(stream, places)) == (messages, None, [], None)


@given(messages=st.lists(st.binary(min_size=4, max_size=4)), places=PLACES)
def test_messages_of_a_fixed_length_are_found_however_the_stream_is_cut(messages, places):
    assert outcome(fixed_length(4), cut(b"".join(messages), places)) == (messages, None, [], None)


@pytest.mark.parametrize("framing", ENDED, ids=repr)
@given(stream=st.binary(), places=PLACES)
def test_the_end_of_the_stream_ends_the_message(framing, stream, places):
    expected = [stream] if stream else []
    assert outcome(framing, cut(stream, places)) == ([], None, expected, None)


@given(bursts=st.lists(st.tuples(st.binary(), PLACES)), last=st.binary())
def test_each_silence_ends_a_message(bursts, last):
    decoder = idle_gap(0.5).decoder()
    assert decoder.idle_gap == 0.5
    messages = []
    for burst, places in bursts:
        for piece in cut(burst, places):
            assert decoder.feed(piece) == []
        messages += decoder.flush()
    assert messages == [burst for burst, _ in bursts if burst]
    decoder.feed(last)
    assert decoder.finish() == ([last] if last else [])


@pytest.mark.parametrize("framing", NARROW, ids=repr)
@given(
    stream=st.lists(st.sampled_from(b"\0\1\2\3\4\n\r-123"), max_size=24).map(bytes), places=PLACES
)
def test_good_or_bad_however_the_stream_is_cut_the_outcome_is_the_same(framing, stream, places):
    assert outcome(framing, cut(stream, places)) == outcome(framing, [stream])


@pytest.mark.parametrize("framing", FRAMED, ids=repr)
def test_one_cut_at_every_place_changes_nothing(framing):
    messages = [b"", b"a", b"two words", b"x" * 90]
    stream = b"".join(payload_and_frame(framing, message) for message in messages)
    for place in range(len(stream) + 1):
        assert outcome(framing, [stream[:place], stream[place:]])[0] == messages
    assert outcome(framing, [bytes([byte]) for byte in stream])[0] == messages


@pytest.mark.parametrize("framing", FRAMED, ids=repr)
def test_an_end_in_the_middle_of_a_message_says_so_without_numbers(framing):
    half = payload_and_frame(framing, b"half a message")[:-3]
    expected = ([b"whole"], None, [], "the connection ended in the middle of a message")
    assert outcome(framing, [payload_and_frame(framing, b"whole"), half]) == expected


@pytest.mark.parametrize("framing", [*FRAMED, *NARROW], ids=repr)
@given(pieces=st.lists(st.binary(max_size=60), max_size=10))
def test_no_bytes_whatever_make_a_decoder_raise_or_go_on_after_a_fault(framing, pieces):
    decoder = framing.decoder()
    for piece in pieces:
        faulty = decoder.fault
        messages = decoder.feed(piece)
        if faulty:
            assert messages == []
            assert decoder.fault is faulty
            assert decoder.flush() == []


def test_the_decoders_of_one_framing_do_not_share_what_they_received():
    framing = lines()
    first, second = framing.decoder(), framing.decoder()
    first.feed(b"ab")
    assert second.feed(b"c\n") == [b"c"]
    assert first.feed(b"c\n") == [b"abc"]


@pytest.mark.parametrize(
    ("framing", "wire"),
    [
        (lines(), b"hello\n"),
        (lines(b"\r\n"), b"hello\r\n"),
        (delimiter(b"||"), b"hello||"),
        (nul(), b"hello\0"),
        (stx_etx(), b"\2hello\3"),
        (stx_etx(b"\x0b", b"\x1c\r"), b"\x0bhello\x1c\r"),
        (fixed_length(5), b"hello"),
        (until_close(), b"hello"),
        (idle_gap(1), b"hello"),
    ],
    ids=repr,
)
def test_the_wire_format_of_each_framing(framing, wire):
    assert framing.encode(b"hello") == wire
    messages, _, at_the_end, _ = outcome(framing, [wire])
    assert messages + at_the_end == [b"hello"]


def test_a_framing_is_a_value():
    for framing in (*FRAMED, *NARROW, *ENDED):
        assert isinstance(framing, Framing)
        assert isinstance(framing.decoder(), Decoder)
        assert not hasattr(framing, "__dict__")
        assert framing != object()
        assert {framing: 1}[pickle.loads(pickle.dumps(framing))] == 1
    different = [*FRAMED, *ENDED, lines(limit=9), idle_gap(1), until_close(limit=9)]
    assert all(a != b for a, b in itertools.combinations(different, 2))
    assert lines() == lines(b"\n") == delimiter(b"\n")
    assert lines(b"\0") == nul()
    assert length_prefix() == length_prefix(4, "big", header=4)
    with pytest.raises(AttributeError):
        lines().limit = 1


@pytest.mark.parametrize(
    ("framing", "shown"),
    [
        (lines(), r"lines(b'\n')"),
        (lines(b"\r\n", limit=80), r"lines(b'\r\n', limit=80)"),
        (nul(), r"lines(b'\x00')"),
        (stx_etx(), "stx_etx()"),
        (stx_etx(b"<", b">"), "stx_etx(start=b'<', end=b'>')"),
        (fixed_length(80), "fixed_length(80)"),
        (until_close(limit=9), "until_close(limit=9)"),
        (idle_gap(0.25), "idle_gap(0.25)"),
        (length_prefix(), "length_prefix(4)"),
        (
            length_prefix(2, "little", offset=2, header=8, includes_header=True),
            "length_prefix(2, byteorder='little', offset=2, header=8, includes_header=True)",
        ),
        (length_prefix(2, header=b"..!"), "length_prefix(2, header=b'..!')"),
    ],
)
def test_a_framing_is_shown_as_the_call_that_makes_it(framing, shown):
    assert repr(framing) == shown
    assert eval(shown) == framing


def no_limit(build):
    return [lambda limit=limit: build(limit=limit) for limit in (0, -1, 1.5, None, True)]


@pytest.mark.parametrize(
    "build",
    [
        lambda: lines(b""),
        lambda: lines("\n"),
        lambda: lines(10),
        lambda: delimiter(b""),
        lambda: stx_etx(b"", b"\3"),
        lambda: stx_etx(b"\2", None),
        lambda: fixed_length(0),
        lambda: fixed_length("80"),
        lambda: fixed_length(DEFAULT_LIMIT + 1),
        lambda: idle_gap(0),
        lambda: idle_gap(-1),
        lambda: idle_gap(float("nan")),
        lambda: idle_gap(float("inf")),
        lambda: idle_gap("1"),
        *no_limit(lines),
        *no_limit(nul),
        *no_limit(stx_etx),
        *no_limit(length_prefix),
        *no_limit(until_close),
        *no_limit(lambda limit: delimiter(b"|", limit=limit)),
        *no_limit(lambda limit: idle_gap(1, limit=limit)),
    ],
)
def test_a_framing_that_cannot_be_is_a_configuration_error(build):
    with pytest.raises(ConfigurationError):
        build()


def test_a_terminator_that_is_text_is_told_how_to_write_it():
    with pytest.raises(ConfigurationError, match=r"lines\('\\r\\n'\) is text; write lines\(b'"):
        lines("\r\n")
    with pytest.raises(ConfigurationError, match=r"lines\(10\) is not bytes; .*bytes\(\[10\]\)$"):
        lines(10)


@pytest.mark.parametrize(
    ("framing", "payload", "reason"),
    [
        (lines(), b"two\nlines", r"contains b'\\n', which ends a message"),
        (lines(b"--"), b"a--b", "contains b'--', which ends a message"),
        (lines(b"--"), b"a-", "ends with a part of b'--', .* found too early"),
        (stx_etx(), b"a\3b", r"contains b'\\x03'"),
        (stx_etx(b"<", b"->-"), b"a->", "contains b'->-', or does so together"),
        (fixed_length(4), b"abc", "has not the 4 bytes of each message"),
        (fixed_length(4), b"abcde", "has not the 4 bytes of each message"),
    ],
)
def test_a_payload_that_the_framing_cannot_carry_is_refused(framing, payload, reason):
    with pytest.raises(ConfigurationError, match=reason):
        framing.encode(payload)


@pytest.mark.parametrize("framing", DELIMITED, ids=repr)
@given(payload=st.lists(st.sampled_from(b"\n\r\0\2\3-|>end"), max_size=8).map(bytes))
def test_a_payload_is_refused_or_arrives_alone_and_unchanged(framing, payload):
    try:
        stream = framing.encode(payload)
    except ConfigurationError:
        return
    assert outcome(framing, [stream]) == ([payload], None, [], None)


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 6, b"x" * 6], [b"x" * 11 + b"\nok\n"]])
def test_a_line_longer_than_the_limit_is_a_fault_and_nothing_follows(pieces):
    decoder = lines(limit=10).decoder()
    assert [message for piece in pieces for message in decoder.feed(piece)] == []
    assert isinstance(decoder.fault, MalformedMessage)
    assert "limit of 10 bytes" in str(decoder.fault)
    assert decoder.feed(b"more\n") == []
    with pytest.raises(MalformedMessage, match="limit of 10 bytes"):
        decoder.finish()


@pytest.mark.parametrize(
    "framing",
    [
        lines(limit=10),
        lines(b"\r\n", limit=10),
        lines(b"--end--", limit=10),
        nul(limit=10),
        stx_etx(limit=10),
        stx_etx(b"<-", b"->", limit=10),
        length_prefix(limit=10),
        length_prefix(2, offset=3, includes_header=True, limit=10),
    ],
    ids=repr,
)
def test_the_limit_is_for_the_message_alone_and_to_the_byte(framing):
    for size in (10, 11):
        stream = framing.encode(b"x" * size)
        for pieces in ([stream], [bytes([byte]) for byte in stream]):
            messages, fault, _, _ = outcome(framing, pieces)
            assert messages == ([b"x" * 10] if size == 10 else [])
            assert (fault is None) == (size == 10)


@pytest.mark.parametrize(
    ("framing", "stream", "fault"),
    [
        (lines(limit=10), b"good\n" + b"x" * 11 + b"\nlost\n", "no b'\\n' within the limit of 10"),
        (nul(limit=10), b"good\0" + b"x" * 11, "no b'\\x00' within the limit of 10"),
        (stx_etx(limit=10), b"\2good\3\2" + b"x" * 11, "no b'\\x03' within the limit of 10"),
        (stx_etx(), b"\2good\3lost\3", "a message does not start with b'\\x02'"),
        (stx_etx(b"<-", b"->"), b"<-good-><<-", "a message does not start with b'<-'"),
        (length_prefix(limit=10), b"\0\0\0\4good\xff\xff\xff\xff", "announces more than 10 bytes"),
        (length_prefix(1, includes_itself=True), b"\5good\0...", "less than its own size"),
    ],
)
def test_what_came_whole_before_the_fault_is_returned(framing, stream, fault):
    messages, found, _, at_the_end = outcome(framing, [stream])
    assert messages == [b"good"]
    assert fault in found
    assert found.endswith("is the framing the server's?")
    assert at_the_end == found


@pytest.mark.parametrize(
    ("framing", "fault"),
    [
        (until_close(limit=10), "more than 10 bytes before the connection ended"),
        (idle_gap(0.5, limit=10), "more than 10 bytes without a pause of 0.5 s"),
    ],
    ids=repr,
)
def test_a_message_without_an_end_is_kept_up_to_the_limit_only(framing, fault):
    decoder = framing.decoder()
    assert decoder.feed(b"x" * 10) == []
    assert decoder.fault is None
    assert decoder.feed(b"x") == []
    assert decoder.feed(b"x" * 1000) == []
    assert len(decoder.rest) == 11
    assert decoder.flush() == []
    with pytest.raises(MalformedMessage, match=fault):
        decoder.finish()


@pytest.mark.parametrize("framing", [*DELIMITED, *COUNTED, until_close()], ids=repr)
def test_silence_means_nothing_elsewhere(framing):
    decoder = framing.decoder()
    assert decoder.idle_gap is None
    decoder.feed(payload_and_frame(framing, b"hello")[:-1])
    assert decoder.flush() == []
    assert decoder.rest


GUIDE = Path(__file__).parents[3] / "docs" / "framing.md"


def shown_in_the_guide():
    """What stands in the first cell of a row, and what the last one says goes over the wire."""
    for row in GUIDE.read_text().splitlines():
        cells = [cell.strip(" `") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        if len(cells) == 3 and cells[2].startswith(("hello", "\\")):
            yield cells[0].replace(r"\|", "|"), cells[2].replace(r"\|", "|")


@pytest.mark.parametrize(("written", "wire"), list(shown_in_the_guide()))
def test_the_guide_shows_what_goes_over_the_wire(written, wire):
    names = {**vars(_framing), "find_end": len}
    assert eval(written, names).encode(b"hello") == eval(f"b'{wire}'")


def test_the_guide_names_every_framing_and_its_header_examples_are_possible():
    text = GUIDE.read_text()
    makers = set(_framing.__all__) - {"DEFAULT_LIMIT", "Decoder", "Framing"}
    assert len(list(shown_in_the_guide())) == 12
    assert [maker for maker in makers if f"`{maker}(" not in text] == []
    for written in re.findall(r"`(length_prefix\([^`]*\))`", text):
        assert eval(written, dict(vars(_framing)))
