"""Matchers of what gRPC says about a message beside its fields."""

from __future__ import annotations

from typing import Any

from protouser import Matcher

__all__ = ["message_type"]


def message_type(name: str) -> Matcher:
    """The message, or the one in its ``oneof`` that is set, is of this type.

    ``name`` is that of the message, with its package or without, such as ``shop.OrderFilled``.
    """

    def test(message: Any) -> bool:
        return any(_is(candidate, name) for candidate in _candidates(message))

    return Matcher(test, f"message_type({name!r})")


def _candidates(message: Any) -> list[Any]:
    described = getattr(message, "DESCRIPTOR", None)
    if described is None:
        return []
    chosen = [message.WhichOneof(group.name) for group in described.oneofs]
    return [message, *(getattr(message, field) for field in chosen if field is not None)]


def _is(message: Any, name: str) -> bool:
    described = getattr(message, "DESCRIPTOR", None)
    return described is not None and name in (described.name, described.full_name)
