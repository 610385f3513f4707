"""Where a client of sockets connects: a host with a port, or a path."""

from __future__ import annotations

from protouser import ConfigurationError, Url

__all__ = ["complete"]


def complete(url: Url) -> Url:
    """The URL, if it says all that is needed to connect; asked before a load starts.

    Raises:
        ConfigurationError: it names no port, or no path of a Unix socket.
    """
    if url.scheme == "unix":
        if not url.path:
            raise ConfigurationError(f"{url} names no path; write unix:///path")
    elif url.port is None:
        raise ConfigurationError(f"{url} names no port; write {url}:7000")
    return url
