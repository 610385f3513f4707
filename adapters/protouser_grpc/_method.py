"""One method of a service: its path, its kind, and how its messages become bytes and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from protouser import ConfigurationError, MalformedMessage, ProtouserError

__all__ = ["Method"]


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service.

    Attributes:
        path: as on the wire, "/pkg.Service/Method".
        kind: "unary_unary", "unary_stream", "stream_unary" or "stream_stream".
        serialize: a message to bytes; None where messages are bytes.
        deserialize: bytes to a message; None where messages are bytes.
    """

    path: str
    kind: str
    serialize: Callable[[Any], bytes] | None = None
    deserialize: Callable[[bytes], Any] | None = None

    @property
    def row(self) -> str:
        """Its row in Locust's table."""
        return self.path.removeprefix("/")

    @property
    def streams_requests(self) -> bool:
        """Whether it takes several requests."""
        return self.kind.startswith("stream_")

    def encode(self, message: Any) -> bytes:
        """The bytes of a request.

        Raises:
            ConfigurationError: it is no request of this method.
        """
        if self.serialize is None:
            return bytes(message)
        try:
            return self.serialize(message)
        except ProtouserError:
            raise
        except Exception as error:
            raise ConfigurationError(
                f"{self.row} cannot send a {type(message).__name__}: {error}"
            ) from error

    def decode(self, data: bytes) -> Any:
        """The message of some bytes.

        Raises:
            MalformedMessage: they are no answer of this method.
        """
        if self.deserialize is None:
            return data
        try:
            return self.deserialize(data)
        except Exception as error:
            raise MalformedMessage(
                f"an answer of {self.row} cannot be read: {error}; does the server speak the"
                " same version of the service?"
            ) from error
