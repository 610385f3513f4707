"""The options that stand on a user's class, looked at before the load starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from protouser import ConfigurationError, ProtocolUser

__all__ = ["check_class"]


def check_class(
    user_class: type[ProtocolUser],
    names: frozenset[str],
    *readers: Callable[[Mapping[str, Any]], object],
) -> None:
    """Let readers of options refuse what a class says.

    Raises:
        ConfigurationError: a value is none that the option can have.
    """
    found = {name: getattr(user_class, name) for name in names if hasattr(user_class, name)}
    # a property has a value for each user, and none for the class
    options = {name: value for name, value in found.items() if not hasattr(value, "__get__")}
    try:
        for read in readers:
            read(options)
    except ConfigurationError as error:
        raise ConfigurationError(f"{user_class.__name__}: {error}") from None
