"""Where a message ends in a stream of bytes: pure codecs, no I/O.

A ``Framing`` is a value that many connections share; its ``decoder()`` holds what one connection
has received of an unfinished message. A new framing is a frozen dataclass with ``encode`` and
``decoder``, and a ``Decoder`` with ``feed``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from protouser import ConfigurationError, MalformedMessage

__all__ = ["DEFAULT_LIMIT", "Decoder", "Framing", "length_prefix", "lines"]

#: No message may be longer, so that a peer who speaks something else cannot fill the memory.
DEFAULT_LIMIT = 16 * 1024 * 1024

ByteOrder = Literal["big", "little"]


class Decoder(ABC):
    """Cuts the bytes of one connection into messages.

    Attributes:
        fault: why no message can follow what was returned so far; None while all is well.
        rest: what was received of a message that is not whole, or is the fault.
    """

    fault: MalformedMessage | None = None

    def __init__(self) -> None:
        self.rest = bytearray()

    @abstractmethod
    def feed(self, data: bytes) -> list[bytes]:
        """The messages that ``data`` completes; never raises, look at ``fault`` afterwards.

        So what came whole before the fault is not lost with it.
        """

    def finish(self) -> None:
        """The stream is over.

        Raises:
            MalformedMessage: in the middle of a message, or the fault that was found before.
        """
        if self.fault is not None:
            raise self.fault
        if self.rest:
            raise MalformedMessage("the connection ended in the middle of a message")


class Framing(ABC):
    """How messages are put into a stream of bytes, and found in it."""

    @abstractmethod
    def encode(self, payload: bytes) -> bytes:
        """``payload`` as it goes over the wire.

        Raises:
            ConfigurationError: this framing cannot carry it.
        """

    @abstractmethod
    def decoder(self) -> Decoder:
        """A decoder for a new connection."""


def lines(terminator: bytes = b"\n", *, limit: int = DEFAULT_LIMIT) -> Framing:
    """``terminator`` ends a message, both ways; it is appended and stripped here."""
    if not terminator:
        raise ConfigurationError("lines() needs a terminator of at least one byte")
    return _Lines(terminator, limit)


def length_prefix(
    size: int = 4,
    byteorder: ByteOrder = "big",
    includes_itself: bool = False,
    *,
    limit: int = DEFAULT_LIMIT,
) -> Framing:
    """A length of ``size`` bytes comes before each message, and counts itself or not."""
    if not 1 <= size <= 8:
        raise ConfigurationError(f"length_prefix() of {size} bytes; it can have 1 to 8")
    if byteorder not in ("big", "little"):
        raise ConfigurationError(f"byteorder {byteorder!r} is neither 'big' nor 'little'")
    return _LengthPrefix(size, byteorder, includes_itself, limit)


@dataclass(frozen=True, slots=True)
class _Lines(Framing):
    terminator: bytes
    limit: int

    def encode(self, payload: bytes) -> bytes:
        if self.terminator in payload:
            raise ConfigurationError(
                f"the payload contains {self.terminator!r}, which ends a message and is appended"
                " by the framing; send one message per call, without it"
            )
        return payload + self.terminator

    def decoder(self) -> Decoder:
        return _LinesDecoder(self.terminator, self.limit)


class _LinesDecoder(Decoder):
    def __init__(self, terminator: bytes, limit: int) -> None:
        super().__init__()
        self._terminator = terminator
        self._limit = limit

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
        return messages if len(self.rest) <= self._limit else self._give_up(messages)

    def _give_up(self, messages: list[bytes]) -> list[bytes]:
        self.fault = MalformedMessage(
            f"no {self._terminator!r} within the limit of {self._limit} bytes;"
            " is the framing the server's?"
        )
        return messages


@dataclass(frozen=True, slots=True)
class _LengthPrefix(Framing):
    size: int
    byteorder: ByteOrder
    includes_itself: bool
    limit: int

    def encode(self, payload: bytes) -> bytes:
        length = len(payload) + (self.size if self.includes_itself else 0)
        try:
            return length.to_bytes(self.size, self.byteorder) + payload
        except OverflowError:
            raise ConfigurationError(
                f"the payload is longer than a length of {self.size} bytes can say"
            ) from None

    def decoder(self) -> Decoder:
        return _LengthPrefixDecoder(self)


class _LengthPrefixDecoder(Decoder):
    def __init__(self, framing: _LengthPrefix) -> None:
        super().__init__()
        self._size = framing.size
        self._byteorder: ByteOrder = framing.byteorder
        self._counted = framing.size if framing.includes_itself else 0
        self._limit = framing.limit
        self._needed = 0

    def feed(self, data: bytes) -> list[bytes]:
        if self.fault is not None:
            return []
        if self.rest:
            self.rest += data
            if len(self.rest) < self._needed:
                return []
            data = bytes(self.rest)
            self.rest.clear()
        messages: list[bytes] = []
        start, available, size = 0, len(data), self._size
        self._needed = size
        while available - start >= size:
            body = start + size
            length = int.from_bytes(data[start:body], self._byteorder) - self._counted
            if not 0 <= length <= self._limit:
                self._give_up(length)
                break
            if available - body < length:
                self._needed = size + length
                break
            start = body + length
            messages.append(data[body:start])
        if start < available:
            self.rest += data[start:]
        return messages

    def _give_up(self, length: int) -> None:
        said = "less than its own size" if length < 0 else f"more than {self._limit} bytes"
        self.fault = MalformedMessage(
            f"a length prefix announces {said}; is the framing the server's?"
        )
