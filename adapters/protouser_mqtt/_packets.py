"""The packets of publishing (MQTT 3.1.1 and 5.0, sections 3.3 to 3.7), and where a packet ends.

These few are nearly all the traffic of a load test, and paho takes ten times as long for them: it
reads byte by byte, and makes a condition for each message and a table of properties for each
acknowledgement. The others it reads and writes well enough. Pure functions, no I/O.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from protouser import ConfigurationError, MalformedMessage
from protouser_mqtt._message import Outgoing

__all__ = [
    "ACKNOWLEDGEMENTS",
    "GREATEST_PACKET",
    "PUBACK",
    "PUBCOMP",
    "PUBREC",
    "Framer",
    "check_length",
    "publish_packet",
    "pubrel_packet",
    "read_acknowledgement",
    "remaining_length",
]

PUBACK: Final = 0x40
PUBREC: Final = 0x50
PUBCOMP: Final = 0x70
#: What answers a PUBLISH or a PUBREL.
ACKNOWLEDGEMENTS: Final = frozenset({PUBACK, PUBREC, PUBCOMP})
#: The greatest remaining length that four digits can say.
_GREATEST: Final = 268_435_455
#: The greatest packet: a type and four digits more.
GREATEST_PACKET: Final = _GREATEST + 5

_PUBLISH: Final = 0x30
_PUBREL: Final = 0x62
_MOST_DIGITS: Final = 4
_REMEMBERED: Final = 4096


def publish_packet(message: Outgoing, mid: int, version: int) -> bytes:
    """PUBLISH as it goes over the wire; ``mid`` is the packet identifier, unless QoS is 0."""
    topic, payload, qos, retain, properties = message
    head = _with_length(topic)
    if qos:
        head += mid.to_bytes(2, "big")
    if version == 5:
        head += bytes(properties.pack()) if properties else b"\0"  # type: ignore[no-untyped-call]
    first = _PUBLISH | qos << 1 | (1 if retain else 0)
    return b"".join((bytes((first,)), _digits(len(head) + len(payload)), head, payload))


def remaining_length(message: Outgoing, version: int) -> int:
    """What the length of a message's PUBLISH has to say."""
    length = len(_with_length(message.topic)) + len(message.payload) + (2 if message.qos else 0)
    if version != 5:
        return length
    properties = message.properties
    return length + (len(properties.pack()) if properties else 1)  # type: ignore[no-untyped-call]


def check_length(message: Outgoing, version: int, greatest: int) -> None:
    """Refuse a packet that is longer than there can be, or than the ``greatest`` a broker takes.

    Raises:
        ConfigurationError: it is.
    """
    length = remaining_length(message, version)
    if length > _GREATEST:
        raise ConfigurationError(
            f"the payload is too large: a packet of MQTT has at most {_GREATEST} bytes"
        )
    if length + 5 > greatest and 1 + len(_digits(length)) + length > greatest:
        raise ConfigurationError(
            f"the payload is too large: the broker takes packets of at most {greatest} bytes"
        )


def pubrel_packet(mid: int) -> bytes:
    """PUBREL, the answer to PUBREC."""
    return b"%c\2%b" % (_PUBREL, mid.to_bytes(2, "big"))


def read_acknowledgement(packet: bytes) -> tuple[int, int]:
    """The packet identifier and the reason code of a whole PUBACK, PUBREC or PUBCOMP.

    Raises:
        MalformedMessage: it has no packet identifier.
    """
    start = 2 if packet[1] < 128 else 1 + _count_digits(packet)
    if len(packet) < start + 2:
        raise MalformedMessage("an acknowledgement without a packet identifier")
    mid = packet[start] << 8 | packet[start + 1]
    return mid, packet[start + 2] if len(packet) > start + 2 else 0


class Framer:
    """Cuts what arrives on one connection into packets."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that ``data`` completes.

        Raises:
            MalformedMessage: a length has more than four digits; nothing can follow it.
        """
        if not self._rest and len(data) > 1 and data[1] < 128 and len(data) == data[1] + 2:
            return [data]
        self._rest += data
        packets, start = [], 0
        while (end := self._end_of_packet(start)) is not None:
            packets.append(bytes(self._rest[start:end]))
            start = end
        del self._rest[:start]
        return packets

    def _end_of_packet(self, start: int) -> int | None:
        """Where the packet at ``start`` ends; None where that has not arrived."""
        rest, length = self._rest, 0
        for digit in range(_MOST_DIGITS):
            place = start + 1 + digit
            if place >= len(rest):
                return None
            length |= (rest[place] & 127) << 7 * digit
            if rest[place] < 128:
                end = place + 1 + length
                return end if end <= len(rest) else None
        raise MalformedMessage("a packet's length has more than four digits")


@lru_cache(_REMEMBERED)
def _with_length(topic: str) -> bytes:
    encoded = topic.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _digits(length: int) -> bytes:
    """A variable byte integer (MQTT 5.0, 1.5.5)."""
    if length < 128:
        return b"%c" % length
    digits = bytearray()
    while True:
        length, digit = divmod(length, 128)
        if not length:
            digits.append(digit)
            return bytes(digits)
        digits.append(digit | 128)


def _count_digits(packet: bytes) -> int:
    count = 1
    while packet[count] >= 128:
        count += 1
    return count
