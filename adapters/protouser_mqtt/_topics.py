"""Topic names and topic filters (MQTT 5.0, section 4.7): what is one, and which match. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from protouser import ConfigurationError

__all__ = ["check_filter", "check_topic", "fill", "matches"]

_LONGEST = 65_535
_REMEMBERED = 4096
_SHARE = "$share/"


def check_topic(topic: str) -> None:
    """Refuse what cannot be published to.

    Raises:
        ConfigurationError: it is no text, empty, too long, no UTF-8, or holds a wildcard.
    """
    _check_type("topic", topic)
    _check_topic(topic)


def check_filter(pattern: str) -> None:
    """Refuse what cannot be subscribed to.

    Raises:
        ConfigurationError: it is no text, empty, too long, no UTF-8, or has a wildcard out of
            place.
    """
    _check_type("topic filter", pattern)
    _check_filter(pattern)


@lru_cache(_REMEMBERED)
def _check_topic(topic: str) -> None:
    _check_text("topic", topic)
    if "+" in topic or "#" in topic:
        raise ConfigurationError(
            f"{topic!r} is no topic to publish to: '+' and '#' are wildcards, for subscriptions"
        )


@lru_cache(_REMEMBERED)
def _check_filter(pattern: str) -> None:
    _check_text("topic filter", pattern)
    levels = _subscribed(pattern).split("/")
    for place, level in enumerate(levels):
        if level == "#":
            if place != len(levels) - 1:
                raise ConfigurationError(f"{pattern!r} is no topic filter: '#' has to come last")
        elif "#" in level or ("+" in level and level != "+"):
            raise ConfigurationError(
                f"{pattern!r} is no topic filter: a wildcard stands alone between slashes"
            )


def matches(pattern: str, topic: str) -> bool:
    """True when a valid filter selects a topic; of ``$share/group/filter`` the filter counts."""
    wanted, levels = _levels(pattern), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place == len(levels) or level not in ("+", levels[place]):
            return False
    return len(levels) == len(wanted)


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """A topic from its template: ``{name}`` is replaced by ``fields["name"]``.

    Raises:
        ConfigurationError: a field is missing, or a brace is not closed.
    """
    try:
        return template.format_map(fields)
    except KeyError as error:
        raise ConfigurationError(
            f"the topic {template!r} needs a value for {error}; pass fields={{{error}: ...}}"
        ) from None
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"the topic {template!r} cannot be filled in: {error}; a field is written {{name}}"
        ) from None


@lru_cache(_REMEMBERED)
def _levels(pattern: str) -> list[str]:
    return _subscribed(pattern).split("/")


def _subscribed(pattern: str) -> str:
    """The filter of a shared subscription (section 4.8.2), or the filter itself."""
    if not pattern.startswith(_SHARE):
        return pattern
    group, slash, shared = pattern[len(_SHARE) :].partition("/")
    if not group or not slash or not shared or "+" in group or "#" in group:
        raise ConfigurationError(
            f"{pattern!r} is no topic filter: a shared one is written $share/group/filter"
        )
    return shared


def _check_type(what: str, text: Any) -> None:
    # what cannot be hashed cannot be looked up either
    if not isinstance(text, str):
        raise ConfigurationError(f"a {what} is text, not {type(text).__name__}")


def _check_text(what: str, text: str) -> None:
    if not text:
        raise ConfigurationError(f"the {what} is empty; name one, such as 'sensors/1'")
    if "\0" in text:
        raise ConfigurationError(f"{text!r} is no {what}: it contains a null character")
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise ConfigurationError(f"{text!r} is no {what}: it cannot be written as UTF-8") from None
    if length > _LONGEST:
        raise ConfigurationError(f"the {what} is longer than {_LONGEST} bytes")
