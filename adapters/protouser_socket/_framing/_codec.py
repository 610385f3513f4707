"""Messages that are objects: a framing, and two functions that know what its bytes mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from protouser import ConfigurationError, MalformedMessage
from protouser_socket._framing._model import BuiltIn, Decoder, Framing

__all__ = ["codec"]

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]


def codec(
    framing: Framing, *, encode: Encode | None = None, decode: Decode | None = None
) -> Framing:
    """``encode(message)`` makes the bytes that ``framing`` carries, ``decode(payload)`` reads them.

    So what is sent and received is whatever they take and return: tuples of ``struct``, protobuf
    messages, dicts of msgpack, text. None leaves a direction as it is. Both must not block.
    ``decode`` runs where the bytes arrive; what it raises ends the connection, a
    ``MalformedMessage`` with the reason that it gives.
    """
    if not isinstance(framing, Framing):
        raise ConfigurationError(f"codec({framing!r}): a framing is made by lines() and its like")
    for word, function in (("encode", encode), ("decode", decode)):
        if function is not None and not callable(function):
            raise ConfigurationError(f"codec({word}={function!r}) is no function")
    return _Codec(framing, encode, decode)


@dataclass(frozen=True, slots=True, repr=False)
class _Codec(BuiltIn):
    maker: ClassVar[str] = "codec"

    framing: Framing
    encoding: Encode | None = field(default=None, metadata={"keyword": "encode"})
    decoding: Decode | None = field(default=None, metadata={"keyword": "decode"})

    def payload(self, message: Any) -> Any:
        return self.framing.payload(message if self.encoding is None else self.encoding(message))

    def encode(self, payload: bytes) -> bytes:
        return self.framing.encode(payload)

    def decoder(self) -> Decoder:
        inner = self.framing.decoder()
        return inner if self.decoding is None else _CodecDecoder(inner, self.decoding)


class _CodecDecoder(Decoder):
    def __init__(self, inner: Decoder, decode: Decode) -> None:
        self._inner = inner
        self._decode = decode
        self.rest = inner.rest
        self.idle_gap = inner.idle_gap

    def feed(self, data: bytes) -> list[Any]:
        return self._decoded(self._inner.feed(data)) if self.fault is None else []

    def flush(self) -> list[Any]:
        return self._decoded(self._inner.flush()) if self.fault is None else []

    def finish(self) -> list[Any]:
        if self.fault is not None:
            raise self.fault
        messages = self._decoded(self._inner.finish())
        if self.fault is not None:
            raise self.fault
        return messages

    def _decoded(self, payloads: list[Any]) -> list[Any]:
        self.rest = self._inner.rest
        self.fault = self._inner.fault
        messages = []
        for payload in payloads:
            try:
                messages.append(self._decode(payload))
            except MalformedMessage as error:
                self.fault = error
                break
            except Exception as error:  # noqa: BLE001  whatever the tester's function raises
                name = getattr(self._decode, "__qualname__", "the function")
                self.fault = MalformedMessage(
                    f"a message cannot be decoded: {name}() of the codec raised"
                    f" {type(error).__name__}"
                )
                self.fault.__cause__ = error
                break
        return messages
