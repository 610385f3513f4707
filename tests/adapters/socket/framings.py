"""What the tests of the framings share: one of each, and ways to feed a decoder."""

from __future__ import annotations

import itertools

from protouser import MalformedMessage
from protouser_socket._framing import (
    codec,
    delimiter,
    fixed_length,
    framing_function,
    idle_gap,
    length_prefix,
    lines,
    nul,
    stx_etx,
    until_close,
)


def one_byte_length(buffer):
    """How many bytes a message has that begins with their number; as soon as that is there."""
    return buffer[0] + 1


def line_end(buffer):
    """Where the first line ends; it looks at all of the buffer each time."""
    place = buffer.find(b"\n")
    return place + 1 if place >= 0 else None


def pascal(payload):
    return bytes([len(payload)]) + payload


def behind_the_first(message):
    return message[1:]


#: With these, any message without a byte of ``MARKS`` goes there and back.
MARKS = b"\n\r\0\x02\x03-|"
DELIMITED = [
    lines(),
    lines(b"\r\n"),
    lines(b"--end--"),
    delimiter(b"|"),
    delimiter(b"--"),
    nul(),
    stx_etx(),
    stx_etx(b"<-", b"->"),
]
COUNTED = [
    length_prefix(),
    length_prefix(1),
    length_prefix(2, "little"),
    length_prefix(3, includes_itself=True),
    length_prefix(8, "little", includes_itself=True),
    length_prefix(2, offset=1),
    length_prefix(2, "little", offset=2, header=7),
    length_prefix(4, offset=1, header=b"Q\0\0\0\0", includes_itself=True),
    length_prefix(2, header=8, includes_header=True),
    codec(framing_function(one_byte_length), encode=pascal, decode=behind_the_first),
]
#: Their messages are the framed bytes themselves, of any length.
ENDED = [until_close(), idle_gap(0.5)]
FRAMED = [*DELIMITED, *COUNTED]

#: The same with limits that short streams reach.
NARROW = [
    lines(limit=5),
    lines(b"\r\n", limit=5),
    lines(b"--", limit=4),
    nul(limit=3),
    stx_etx(limit=4),
    stx_etx(b"--", b"\r\n", limit=4),
    fixed_length(3),
    length_prefix(1, limit=4),
    length_prefix(1, includes_itself=True, limit=4),
    length_prefix(2, limit=600, keep_header=True),
    length_prefix(1, offset=1, header=3, includes_header=True, limit=6),
    length_prefix(1, offset=1, header=3, includes_header=True, keep_header=True, limit=6),
    framing_function(one_byte_length, limit=5),
    framing_function(line_end, limit=5),
    until_close(limit=20),
    idle_gap(0.5, limit=20),
    codec(lines(limit=5), decode=int),
    codec(codec(nul(limit=5), decode=bytes.decode), decode=int),
    codec(until_close(limit=20), decode=bytes.decode),
]


def payload_and_frame(framing, message):
    """What the client makes of a tester's message."""
    return framing.encode(framing.payload(message))


def cut(stream, places):
    """``stream`` in pieces, as TCP may deliver it."""
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(bounds)]


def outcome(framing, pieces):
    """Messages, the fault, messages at the end of the stream, and what is wrong with that."""
    decoder = framing.decoder()
    messages = [message for piece in pieces for message in decoder.feed(piece)]
    fault = decoder.fault and str(decoder.fault)
    try:
        return messages, fault, decoder.finish(), None
    except MalformedMessage as error:
        return messages, fault, [], str(error)
