"""What every framing is: a value that encodes, and a decoder for each connection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, fields
from typing import Any, ClassVar

from protouser import ConfigurationError, MalformedMessage

__all__ = [
    "DEFAULT_LIMIT",
    "BuiltIn",
    "Decoder",
    "Framing",
    "check_limit",
    "check_mark",
    "is_count",
]

#: No message may be longer, so that a peer who speaks something else cannot fill the memory.
DEFAULT_LIMIT = 16 * 1024 * 1024


class Decoder(ABC):
    """Cuts the bytes of one connection into messages.

    A message is bytes, or what a ``codec`` makes of them. Where silence ends a message,
    ``idle_gap`` says how long: whoever feeds the decoder calls ``flush`` when ``rest`` is not empty
    and nothing came for so long.

    Attributes:
        fault: why no message can follow what was returned so far; None while all is well.
        rest: what was received of a message that is not whole, or is the fault.
        idle_gap: seconds of silence that end a message, None where silence means nothing.
    """

    fault: MalformedMessage | None = None
    idle_gap: float | None = None

    def __init__(self) -> None:
        self.rest = bytearray()

    @abstractmethod
    def feed(self, data: bytes) -> list[Any]:
        """The messages that ``data`` completes; never raises, look at ``fault`` afterwards.

        So what came whole before the fault is not lost with it.
        """

    def flush(self) -> list[Any]:
        """Nothing came for ``idle_gap`` seconds: the messages that are whole by that.

        Never raises, look at ``fault`` afterwards.
        """
        return []

    def finish(self) -> list[Any]:
        """The stream is over, in good order: the messages that are whole by that.

        Raises:
            MalformedMessage: in the middle of a message, or the fault that was found before.
        """
        if self.fault is not None:
            raise self.fault
        if self.rest:
            raise MalformedMessage("the connection ended in the middle of a message")
        return []


class Framing(ABC):
    """How messages are put into a stream of bytes, and found in it."""

    __slots__ = ()

    @abstractmethod
    def encode(self, payload: bytes) -> bytes:
        """``payload`` as it goes over the wire.

        Raises:
            ConfigurationError: this framing cannot carry it.
        """

    @abstractmethod
    def decoder(self) -> Decoder:
        """A decoder for a new connection."""

    def payload(self, message: Any) -> Any:
        """What ``encode`` is to carry for ``message``, the tester's own object.

        Bytes and text are payloads as they are, so this changes nothing unless a ``codec`` does.
        """
        return message


class BuiltIn(Framing):
    """A framing that is shown as the call that makes it, options only where they say something.

    A field without a default is positional; the others are keywords, called like the field or as
    its metadata say.

    Attributes:
        maker: the public function that makes it.
    """

    __slots__ = ()

    maker: ClassVar[str]

    def __repr__(self) -> str:
        given = []
        for field in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = getattr(self, field.name)
            if field.default is MISSING:
                given.append(_shown(value))
            elif value != field.default:
                name = field.metadata.get("keyword", field.name)
                given.append(f"{name}={_shown(value)}")
        return f"{self.maker}({', '.join(given)})"


def check_limit(maker: str, limit: Any) -> None:
    """Refuse a ``limit`` that is no number of bytes."""
    if not is_count(limit):
        raise ConfigurationError(f"{maker}(limit={limit!r}); it is a number of bytes above 0")


def check_mark(maker: str, mark: Any) -> None:
    """Refuse bytes that cannot mark a place in a stream."""
    if isinstance(mark, str) and mark:
        raise ConfigurationError(f"{maker}({mark!r}) is text; write {maker}({mark.encode()!r})")
    if not isinstance(mark, bytes):
        raise ConfigurationError(f"{maker}({mark!r}) is not bytes; a byte by number: bytes([10])")
    if not mark:
        raise ConfigurationError(f"{maker}() needs a mark of at least one byte")


def is_count(value: Any, least: int = 1) -> bool:
    """Whether ``value`` is a whole number, of ``least`` at least."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _shown(value: Any) -> str:
    return str(getattr(value, "__qualname__", repr(value)))
