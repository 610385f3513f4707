"""Options that stand on a user class as attributes, read before the load starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from protouser._errors import ConfigurationError
from protouser._warm_up import WarmUp

if TYPE_CHECKING:
    from protouser._client import ProtocolClient

__all__ = ["check_options", "constants"]

_OWN: Final = ("protocol", "connect_attempts", "connect_backoff", "close_timeout", "warm_up")


def constants(user_class: type, names: Iterable[str]) -> dict[str, Any]:
    """The attributes of these names that are the same for every user of the class.

    A property has a value for each user, and none for the class; so has a method.
    """
    found = {name: getattr(user_class, name) for name in names if hasattr(user_class, name)}
    return {name: value for name, value in found.items() if not hasattr(value, "__get__")}


def check_options(user_class: type, client_class: type[ProtocolClient] | None) -> None:
    """Refuse values that an option cannot have: of the user, and of the client it opens, if any.

    Raises:
        ConfigurationError: there is one; it says which class has it.
    """
    try:
        _check_own(constants(user_class, _OWN))
        if client_class is not None:
            names = client_class.option_names | {"timeout"}
            client_class.check_options(constants(user_class, names))
    except ConfigurationError as error:
        raise ConfigurationError(f"{user_class.__name__}: {error}") from None


def _check_own(options: dict[str, Any]) -> None:
    protocol, attempts = options.get("protocol", ""), options.get("connect_attempts", 1)
    if not isinstance(protocol, str):
        raise ConfigurationError(f"protocol={protocol!r} is no text")
    if not isinstance(attempts, int):
        raise ConfigurationError(f"connect_attempts={attempts!r} is no whole number")
    for name in ("connect_backoff", "close_timeout"):
        seconds = options.get(name, 1)
        if not isinstance(seconds, int | float) or seconds < 0:
            raise ConfigurationError(f"{name}={seconds!r} is no number of seconds")
    if "warm_up" in options:
        WarmUp(options["warm_up"])
