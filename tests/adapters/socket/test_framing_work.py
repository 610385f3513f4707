"""A long message in small pieces is work in proportion to its length, counted in bytes."""

from __future__ import annotations

import pytest

from protouser_socket._framing import codec, fixed_length, framing_function

from .framings import COUNTED, DELIMITED, ENDED, one_byte_length

SIZE = 200_000
PIECE = 50


class Counting(bytearray):
    """Counts the bytes that are added, searched and copied out."""

    work = 0

    def __iadd__(self, data):
        self.work += len(data)
        return super().__iadd__(data)

    def find(self, mark, start=0):
        self.work += len(self) - start
        return super().find(mark, start)

    def __bytes__(self):
        self.work += len(self)
        return bytes(memoryview(self))

    def __getitem__(self, place):
        found = super().__getitem__(place)
        self.work += len(found) if isinstance(place, slice) else 1
        return found


def work_for(framing, stream):
    """Messages, and bytes handled per byte of ``stream``."""
    decoder = framing.decoder()
    rest = decoder.rest = Counting()
    if hasattr(decoder, "_inner"):
        decoder._inner.rest = rest
    messages = []
    for start in range(0, len(stream), PIECE):
        messages += decoder.feed(stream[start : start + PIECE])
    assert decoder.rest is rest, "one object all along"
    return messages + decoder.finish(), rest.work / len(stream)


def long_lengths(buffer):
    return 4 if len(buffer) < 4 else 4 + int.from_bytes(buffer[:4], "big")


LONG = [
    *DELIMITED,
    *(framing for framing in COUNTED if getattr(framing, "size", 1) > 2),
    *ENDED,
    fixed_length(SIZE),
    codec(DELIMITED[1], decode=bytes),
]


@pytest.mark.parametrize("framing", LONG, ids=repr)
def test_one_long_message_is_searched_and_copied_a_few_times_only(framing):
    messages, work = work_for(framing, framing.encode(b"x" * SIZE))
    assert messages == [b"x" * SIZE]
    assert work < 5


def test_a_function_that_knows_the_length_is_asked_twice_and_copied_once():
    framing = framing_function(long_lengths)
    stream = SIZE.to_bytes(4, "big") + b"x" * SIZE
    messages, work = work_for(framing, stream)
    assert messages == [stream]
    assert work < 3


@pytest.mark.parametrize(
    "framing", [*DELIMITED, *COUNTED, framing_function(one_byte_length)], ids=repr
)
def test_many_short_messages_at_once_are_copied_a_few_times_only(framing):
    payload = b"\5hello" if framing == framing_function(one_byte_length) else b"hello"
    stream = framing.encode(framing.payload(payload)) * 5_000
    decoder = framing.decoder()
    inner = getattr(decoder, "_inner", decoder)
    inner.rest = rest = Counting()
    assert len(decoder.feed(stream)) == 5_000
    assert rest.work < 5 * len(stream)
