"""Matchers of what MQTT says about a message beside its payload."""

from __future__ import annotations

from typing import Any

from protouser import Matcher
from protouser_mqtt._topics import check_filter, matches

__all__ = ["topic"]


def topic(pattern: str) -> Matcher:
    """The message was published to a topic that the filter selects, such as ``cmd/+``.

    Raises:
        ConfigurationError: it is no topic filter.
    """
    check_filter(pattern)

    def test(message: Any) -> bool:
        return matches(pattern, message.topic)

    return Matcher(test, f"topic({pattern!r})")
