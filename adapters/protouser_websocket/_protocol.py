"""What frames may be and how they become messages (RFC 6455): pure rules, no I/O.

Every rule that is broken raises ``Fault`` with the close code that the peer is to be told.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "DEFAULT_LIMIT",
    "GOING_AWAY",
    "INVALID_PAYLOAD",
    "NORMAL",
    "PING",
    "PONG",
    "PROTOCOL_ERROR",
    "TEXT",
    "TOO_BIG",
    "Assembler",
    "Close",
    "Fault",
    "Header",
    "check_header",
    "close_payload",
    "parse_close",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

NORMAL, GOING_AWAY, PROTOCOL_ERROR = 1000, 1001, 1002
INVALID_PAYLOAD, TOO_BIG = 1007, 1009

#: No message may be longer, so that a peer who never ends one cannot fill the memory.
DEFAULT_LIMIT: Final = 16 * 1024 * 1024

#: fin, rsv1, rsv2, rsv3, opcode, masked, and the length or what says where it stands
Header = tuple[int, int, int, int, int, int, int]

_OPCODES: Final = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_LONGEST_CONTROL: Final = 125

#: Section 7.4.1 and the registry of IANA.
_NAMES: Final = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1007: "invalid payload",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension missing",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
}
_PRIVATE: Final = range(3000, 5000)


class Fault(Exception):
    """The peer broke a rule of the protocol, and is told so with this close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Close:
    """What a close frame says; ``code`` is None where it says nothing (section 7.1.5)."""

    code: int | None = None
    reason: str = ""

    @property
    def orderly(self) -> bool:
        """True when it tells of nothing that went wrong."""
        return self.code in (None, NORMAL, GOING_AWAY)

    def __str__(self) -> str:
        if self.code is None:
            return "without a code"
        name = _NAMES.get(self.code, "")
        reason = f"({self.reason})" if self.reason else ""
        return " ".join(part for part in (str(self.code), name, reason) if part)


def check_header(first: int, second: int) -> Header:
    """The first two bytes of a frame from a server, taken apart (section 5.2).

    Raises:
        Fault: no server may send such a frame.
    """
    opcode, length = first & 0x0F, second & 0x7F
    fin = first >> 7
    if first & 0x70:
        raise Fault(PROTOCOL_ERROR, "a frame has reserved bits set, and no extension was agreed")
    if opcode not in _OPCODES:
        raise Fault(PROTOCOL_ERROR, f"a frame has the unknown opcode {opcode}")
    if second & 0x80:
        raise Fault(PROTOCOL_ERROR, "a frame is masked, which a server must not do")
    if opcode & 0x8:
        if not fin:
            raise Fault(PROTOCOL_ERROR, "a control frame is fragmented")
        if length > _LONGEST_CONTROL:
            raise Fault(PROTOCOL_ERROR, "a control frame is longer than 125 bytes")
    return fin, 0, 0, 0, opcode, 0, length


def close_payload(code: int, reason: str = "") -> bytes:
    """The payload of a close frame; a long reason is cut to what a control frame can hold."""
    text = reason.encode()[: _LONGEST_CONTROL - 2].decode(errors="ignore")
    return code.to_bytes(2, "big") + text.encode()


def parse_close(payload: bytes) -> Close:
    """Read the payload of a close frame (sections 5.5.1 and 7.4).

    Raises:
        Fault: half a code, a code that may not be sent, or a reason that is not UTF-8.
    """
    if not payload:
        return Close()
    if len(payload) == 1:
        raise Fault(PROTOCOL_ERROR, "a close frame holds half a code")
    code = int.from_bytes(payload[:2], "big")
    if code not in _NAMES and code not in _PRIVATE:
        raise Fault(PROTOCOL_ERROR, "a close frame has a code that must not be sent")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise Fault(INVALID_PAYLOAD, "the reason of a close frame is not UTF-8") from None


class Assembler:
    """Puts the data frames of one connection together (section 5.4), text by text checked.

    Args:
        limit: how many bytes a message may have.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._opcode = 0
        self._size = 0
        self._parts: list[bytes] = []
        self._texts: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")

    def check_length(self, opcode: int, length: int) -> None:
        """A data frame of this length is about to come.

        Raises:
            Fault: its message would be too long, or it is not the turn of such a frame.
        """
        if opcode == CONTINUATION:
            if not self._opcode:
                raise Fault(PROTOCOL_ERROR, "a continuation frame continues nothing")
        elif self._opcode:
            raise Fault(PROTOCOL_ERROR, "a message begins in the middle of another")
        if self._size + length > self._limit:
            raise Fault(TOO_BIG, f"a message is longer than max_size={self._limit}")

    def add(self, fin: int, opcode: int, data: bytes) -> str | bytes | None:
        """The message that this data frame ends; None while more of it is to come.

        Raises:
            Fault: text that is not UTF-8, as soon as that can be known.
        """
        if fin and opcode:
            return data if opcode == BINARY else _as_text(data)
        if opcode:
            self._begin(opcode)
        self._size += len(data)
        if self._opcode == BINARY:
            self._parts.append(data)
        else:
            self._texts.append(self._decode(data, bool(fin)))
        return self._end() if fin else None

    def _begin(self, opcode: int) -> None:
        self._opcode = opcode
        if opcode == TEXT:
            self._decoding = self._decoder("strict")

    def _decode(self, data: bytes, final: bool) -> str:
        try:
            return self._decoding.decode(data, final)
        except UnicodeDecodeError:
            raise _not_utf_8() from None

    def _end(self) -> str | bytes:
        whole = b"".join(self._parts) if self._opcode == BINARY else "".join(self._texts)
        self._opcode = self._size = 0
        self._parts.clear()
        self._texts.clear()
        return whole


def _as_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _not_utf_8() from None


def _not_utf_8() -> Fault:
    return Fault(INVALID_PAYLOAD, "a text message is not UTF-8")
