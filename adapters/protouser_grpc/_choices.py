"""What a tester chooses by the URL and the options of a client, checked before it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from protouser import ConfigurationError, Url
from protouser_grpc._engines import ENGINES
from protouser_grpc._options import CONNECTIONS

__all__ = ["check_url", "chosen_connection", "chosen_engine"]


def check_url(url: Url) -> None:
    """Refuse a URL that says more, or less, than where a gRPC server is.

    Raises:
        ConfigurationError: it has no port, or a path, or a user.
    """
    if url.port is None:
        raise ConfigurationError(f"{url} names no port; write {url}:50051")
    if url.path.strip("/"):
        raise ConfigurationError(f"{url} names a path, which gRPC has not; methods are called")
    if url.username is not None or url.password is not None:
        raise ConfigurationError(
            f"{url}: gRPC takes no user from a URL; pass metadata=..., as"
            " {'authorization': 'Bearer ...'}"
        )


def chosen_engine(options: Mapping[str, Any]) -> str:
    """The option "engine"; raises ConfigurationError where there is no such engine."""
    return _one_of("engine", options.get("engine", "auto"), ENGINES)


def chosen_connection(options: Mapping[str, Any]) -> str:
    """The option "connection"; raises ConfigurationError where it is none of the two."""
    return _one_of("connection", options.get("connection", "per_user"), CONNECTIONS)


def _one_of(option: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ConfigurationError(f"{option}={value!r}; there are {', '.join(map(repr, known))}")
    return str(value)
