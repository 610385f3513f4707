"""Further matchers, for what JMeter calls assertions: size and duration.

A duration is no property of a response, so such a matcher judges the call itself. It combines with
all others; what is wrong is a ``CallMatcher`` again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protouser._errors import ConfigurationError
from protouser._matchers import Matcher, payload_of

__all__ = ["CallMatcher", "duration", "size", "subject_of"]


class CallMatcher(Matcher):
    """A matcher that judges a finished call: for ``check=`` and ``call.verify``."""

    __slots__ = ()

    def __and__(self, other: Callable[[Any], Any]) -> Matcher:
        return CallMatcher(lambda call: self(call) and _judge(other, call), f"({self} & {other})")

    def __or__(self, other: Callable[[Any], Any]) -> Matcher:
        return CallMatcher(lambda call: self(call) or _judge(other, call), f"({self} | {other})")

    __rand__ = __and__
    __ror__ = __or__

    def __invert__(self) -> Matcher:
        return CallMatcher(lambda call: not self(call), f"~{self}")


def duration(*, below: float) -> Matcher:
    """The call took less than ``below`` seconds."""
    if not below > 0:
        raise ConfigurationError(f"duration(below={below!r}): it is seconds, and above 0")
    return CallMatcher(lambda call: _seconds(call) < below, f"duration(below={below:g})")


def size(exactly: int | None = None, *, at_least: int = 0, at_most: int | None = None) -> Matcher:
    """The payload has so many bytes, characters or items."""
    if exactly is not None:
        at_least, at_most = exactly, exactly
    words = f"size({exactly})" if exactly is not None else f"size({at_least} to {at_most})"

    def test(message: Any) -> bool:
        try:
            length = len(payload_of(message))
        except TypeError:  # it has no size
            return False
        return length >= at_least and (at_most is None or length <= at_most)

    return Matcher(test, words)


def subject_of(check: Any, call: Any) -> Any:
    """What a check is asked about: the call, or its response."""
    return call if isinstance(check, CallMatcher) else call.response


def _judge(check: Callable[[Any], Any], call: Any) -> Any:
    return check(subject_of(check, call))


def _seconds(call: Any) -> float:
    return float(call.seconds or 0.0)
