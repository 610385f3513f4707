"""Messages whose length is said before them: alone, or as one field of a header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from protouser import ConfigurationError, MalformedMessage
from protouser_socket._framing._model import (
    DEFAULT_LIMIT,
    BuiltIn,
    Decoder,
    Framing,
    check_limit,
    is_count,
)

__all__ = ["length_prefix"]

ByteOrder = Literal["big", "little"]


def length_prefix(
    size: int = 4,
    byteorder: ByteOrder = "big",
    includes_itself: bool = False,
    *,
    offset: int = 0,
    header: int | bytes | None = None,
    includes_header: bool = False,
    keep_header: bool = False,
    limit: int = DEFAULT_LIMIT,
) -> Framing:
    """An unsigned length of ``size`` bytes comes before each message.

    It stands at ``offset`` in a header, and says how many bytes follow that header.

    Args:
        size: 1 to 8 bytes.
        byteorder: ``"big"`` is the order of the network.
        includes_itself: the length counts its own ``size`` bytes too.
        offset: how many bytes of the header come before the length.
        header: how many bytes the header has, the length and what follows it included; it ends with
            the length where None. Given as bytes it is what is sent, around the length; given as a
            number, zeros are.
        includes_header: the length counts the whole header.
        keep_header: the header is a part of the message, both ways; in what is sent the length is
            filled in over what stands there. Otherwise it is added and stripped here.
        limit: how long a message may be, in bytes.
    """
    _check_field(size, byteorder, offset)
    check_limit("length_prefix", limit)
    _check_header(header, offset + size, limit)
    if header == offset + size:
        header = None
    return _LengthPrefix(
        size, byteorder, includes_itself, offset, header, includes_header, keep_header, limit
    )


def _check_field(size: Any, byteorder: Any, offset: Any) -> None:
    if not is_count(size) or size > 8:
        raise ConfigurationError(f"length_prefix() of {size} bytes; it can have 1 to 8")
    if byteorder not in ("big", "little"):
        raise ConfigurationError(f"byteorder {byteorder!r} is neither 'big' nor 'little'")
    if not is_count(offset, 0):
        raise ConfigurationError(f"length_prefix(offset={offset!r}); it is a number of bytes")


def _check_header(header: Any, least: int, limit: int) -> None:
    if not (header is None or isinstance(header, bytes) or is_count(header, 0)):
        raise ConfigurationError(f"length_prefix(header={header!r}); it is bytes or their number")
    if header is None:
        header = least
    size = header if isinstance(header, int) else len(header)
    if not least <= size <= limit:
        raise ConfigurationError(
            f"length_prefix() with a header of {size} bytes; the length ends at byte {least}, and"
            f" the limit is {limit}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class _LengthPrefix(BuiltIn):
    maker: ClassVar[str] = "length_prefix"

    size: int
    byteorder: ByteOrder = "big"
    includes_itself: bool = False
    offset: int = 0
    header: int | bytes | None = None
    includes_header: bool = False
    keep_header: bool = False
    limit: int = DEFAULT_LIMIT

    @property
    def template(self) -> bytes:
        """The header that is sent, but for the length in it."""
        if isinstance(self.header, bytes):
            return self.header
        return bytes(self.offset + self.size if self.header is None else self.header)

    @property
    def counted(self) -> int:
        """How many bytes of the header the length counts."""
        if self.includes_header:
            return len(self.template)
        return self.size if self.includes_itself else 0

    def encode(self, payload: bytes) -> bytes:
        header = self.template
        if self.keep_header:
            if len(payload) < len(header):
                raise ConfigurationError(
                    f"the payload is shorter than the {len(header)} bytes of the header that it"
                    " begins with, as keep_header=True says"
                )
            header, payload = payload[: len(header)], payload[len(header) :]
        try:
            length = (len(payload) + self.counted).to_bytes(self.size, self.byteorder)
        except OverflowError:
            raise ConfigurationError(
                f"the payload is longer than a length of {self.size} bytes can say"
            ) from None
        if len(header) == self.size:
            return length + payload
        return b"".join((header[: self.offset], length, header[self.offset + self.size :], payload))

    def decoder(self) -> Decoder:
        return _LengthPrefixDecoder(self)


class _LengthPrefixDecoder(Decoder):
    def __init__(self, framing: _LengthPrefix) -> None:
        super().__init__()
        self._header = len(framing.template)
        self._field = slice(framing.offset, framing.offset + framing.size)
        self._byteorder: ByteOrder = framing.byteorder
        self._counted = framing.counted
        self._skipped = 0 if framing.keep_header else self._header
        self._limit = framing.limit
        self._most = framing.limit - self._header + self._skipped
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
        messages, place = self._cut(data)
        if place < len(data):
            self.rest += data[place:]
        return messages

    def _cut(self, data: bytes) -> tuple[list[bytes], int]:
        """The whole messages, and where the rest begins."""
        messages: list[bytes] = []
        available, header, skipped = len(data), self._header, self._skipped
        first, last = self._field.start, self._field.stop
        place = 0
        self._needed = header
        while available - place >= header:
            said = int.from_bytes(data[place + first : place + last], self._byteorder)
            length = said - self._counted
            if not 0 <= length <= self._most:
                self._give_up(length)
                break
            end = place + header + length
            if end > available:
                self._needed = header + length
                break
            messages.append(data[place + skipped : end])
            place = end
        return messages, place

    def _give_up(self, length: int) -> None:
        said = "less than its own size" if length < 0 else f"more than {self._limit} bytes"
        self.fault = MalformedMessage(
            f"a length prefix announces {said}; is the framing the server's?"
        )
