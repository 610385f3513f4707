"""Messages between a mark where they start and a mark where they end, as on serial lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protouser import ConfigurationError, MalformedMessage
from protouser_socket._framing._model import (
    DEFAULT_LIMIT,
    BuiltIn,
    Decoder,
    Framing,
    check_limit,
    check_mark,
)

__all__ = ["stx_etx"]


def stx_etx(start: bytes = b"\x02", end: bytes = b"\x03", *, limit: int = DEFAULT_LIMIT) -> Framing:
    """``start`` and ``end`` stand around each message, both ways; nothing stands between two.

    Nothing is escaped: the first ``end`` ends the message. Bytes where ``start`` should be are a
    fault.
    """
    check_mark("stx_etx", start)
    check_mark("stx_etx", end)
    check_limit("stx_etx", limit)
    return _Enclosed(start, end, limit)


@dataclass(frozen=True, slots=True, repr=False)
class _Enclosed(BuiltIn):
    maker: ClassVar[str] = "stx_etx"

    start: bytes = b"\x02"
    end: bytes = b"\x03"
    limit: int = DEFAULT_LIMIT

    def encode(self, payload: bytes) -> bytes:
        frame = payload + self.end
        if frame.find(self.end) != len(payload):
            raise ConfigurationError(
                f"the payload contains {self.end!r}, or does so together with the one after it;"
                " that ends a message and is added by the framing"
            )
        return self.start + frame

    def decoder(self) -> Decoder:
        return _EnclosedDecoder(self.start, self.end, self.limit)


class _EnclosedDecoder(Decoder):
    def __init__(self, start: bytes, end: bytes, limit: int) -> None:
        super().__init__()
        self._start = start
        self._end = end
        self._limit = limit
        self._most = len(start) + limit + len(end) - 1

    def feed(self, data: bytes) -> list[bytes]:
        if self.fault is not None:
            return []
        if self.rest:
            # only the seam and the new bytes are searched: long messages stay linear
            seam = max(0, len(self.rest) - len(self._end) + 1)
            self.rest += data
            if self.rest.find(self._end, seam) < 0:
                self._check_rest()
                return []
            data = bytes(self.rest)
            self.rest.clear()
        return self._cut(data)

    def _cut(self, data: bytes) -> list[bytes]:
        messages: list[bytes] = []
        place = 0
        while data.startswith(self._start, place):
            body = place + len(self._start)
            end = data.find(self._end, body)
            if end < 0:
                break
            if end - body > self._limit:
                self._give_up_waiting()
                break
            messages.append(data[body:end])
            place = end + len(self._end)
        if place < len(data):
            self.rest += data[place:]
        if self.fault is None:
            self._check_rest()
        return messages

    def _check_rest(self) -> None:
        if self.rest[: len(self._start)] != self._start[: len(self.rest)]:
            self.fault = MalformedMessage(
                f"a message does not start with {self._start!r}; is the framing the server's?"
            )
        elif len(self.rest) > self._most:
            self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        self.fault = MalformedMessage(
            f"no {self._end!r} within the limit of {self._limit} bytes;"
            " is the framing the server's?"
        )
