"""Matchers of the type of a message, which WebSocket sends along (RFC 6455, section 5.6)."""

from __future__ import annotations

from protouser import Matcher

__all__ = ["binary", "text"]


def text() -> Matcher:
    """It is a text message."""
    return Matcher(lambda message: isinstance(message, str), "text()")


def binary() -> Matcher:
    """It is a binary message."""
    return Matcher(lambda message: isinstance(message, bytes), "binary()")
