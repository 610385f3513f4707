"""Messages that end with certain bytes: lines, and their kin with another mark."""

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

__all__ = ["delimiter", "lines", "nul"]


def lines(terminator: bytes = b"\n", *, limit: int = DEFAULT_LIMIT) -> Framing:
    """``terminator`` ends a message, both ways; it is appended and stripped here."""
    check_mark("lines", terminator)
    check_limit("lines", limit)
    return _Lines(terminator, limit)


def delimiter(mark: bytes, *, limit: int = DEFAULT_LIMIT) -> Framing:
    """``mark`` ends a message, both ways: ``lines`` for what nobody would call a line."""
    check_mark("delimiter", mark)
    check_limit("delimiter", limit)
    return _Lines(mark, limit)


def nul(*, limit: int = DEFAULT_LIMIT) -> Framing:
    """A zero byte ends a message, both ways."""
    check_limit("nul", limit)
    return _Lines(b"\0", limit)


@dataclass(frozen=True, slots=True, repr=False)
class _Lines(BuiltIn):
    maker: ClassVar[str] = "lines"

    terminator: bytes
    limit: int = DEFAULT_LIMIT

    def encode(self, payload: bytes) -> bytes:
        frame = payload + self.terminator
        place = frame.find(self.terminator)
        if place == len(payload):
            return frame
        if place + len(self.terminator) <= len(payload):
            raise ConfigurationError(
                f"the payload contains {self.terminator!r}, which ends a message and is appended"
                " by the framing; send one message per call, without it"
            )
        raise ConfigurationError(
            f"the payload ends with a part of {self.terminator!r}, which is appended by the framing"
            " and would be found too early"
        )

    def decoder(self) -> Decoder:
        return _LinesDecoder(self.terminator, self.limit)


class _LinesDecoder(Decoder):
    def __init__(self, terminator: bytes, limit: int) -> None:
        super().__init__()
        self._terminator = terminator
        self._limit = limit
        # a message of the full length may stand there with all but the last byte of the terminator
        self._most = limit + len(terminator) - 1

    def feed(self, data: bytes) -> list[bytes]:
        if self.fault is not None:
            return []
        if self.rest:
            # only the seam and the new bytes are searched: long messages stay linear
            start = max(0, len(self.rest) - len(self._terminator) + 1)
            self.rest += data
            if self.rest.find(self._terminator, start) < 0:
                return self._checked([])
            data = bytes(self.rest)
            self.rest.clear()
        messages = data.split(self._terminator)
        rest = messages.pop()
        if rest:
            self.rest += rest
        return messages if len(data) <= self._limit else self._checked(messages)

    def _checked(self, messages: list[bytes]) -> list[bytes]:
        for number, message in enumerate(messages):
            if len(message) > self._limit:
                return self._give_up(messages[:number])
        return messages if len(self.rest) <= self._most else self._give_up(messages)

    def _give_up(self, messages: list[bytes]) -> list[bytes]:
        self.fault = MalformedMessage(
            f"no {self._terminator!r} within the limit of {self._limit} bytes;"
            " is the framing the server's?"
        )
        return messages
