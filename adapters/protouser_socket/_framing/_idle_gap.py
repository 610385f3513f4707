"""Messages that end when the server falls silent."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from protouser import ConfigurationError
from protouser_socket._framing._model import DEFAULT_LIMIT, BuiltIn, Decoder, Framing, check_limit
from protouser_socket._framing._until_close import Collector

__all__ = ["idle_gap"]


def idle_gap(seconds: float, *, limit: int = DEFAULT_LIMIT) -> Framing:
    """A message ends when nothing came for ``seconds``, or with the connection's orderly end.

    For protocols that no other framing fits: a pause on the way cuts a message in two, and two that
    come closer together are one. The silence is no part of a call's time. What is sent goes as it
    is.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < inf:
        raise ConfigurationError(f"idle_gap({seconds!r}); it is a number of seconds above 0")
    check_limit("idle_gap", limit)
    return _IdleGap(seconds, limit)


@dataclass(frozen=True, slots=True, repr=False)
class _IdleGap(BuiltIn):
    maker: ClassVar[str] = "idle_gap"

    seconds: float
    limit: int = DEFAULT_LIMIT

    def encode(self, payload: bytes) -> bytes:
        return payload

    def decoder(self) -> Decoder:
        return _IdleGapDecoder(self.seconds, self.limit)


class _IdleGapDecoder(Collector):
    def __init__(self, seconds: float, limit: int) -> None:
        super().__init__(limit, f"without a pause of {seconds:g} s")
        self.idle_gap = seconds

    def flush(self) -> list[bytes]:
        return self.taken() if self.fault is None else []
