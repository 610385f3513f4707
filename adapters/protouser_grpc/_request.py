"""What a call is about to send: its message, metadata and terms, for hooks to change."""

from __future__ import annotations

from typing import Any

from protouser import Request
from protouser_grpc._metadata import RequestMetadata
from protouser_grpc._options import Terms, as_metadata

__all__ = ["GrpcRequest"]


class GrpcRequest(Request):
    """What a gRPC call is about to send.

    Attributes:
        payload: the message or dict; an iterable of them where the method takes a stream; None for
            a stream that is written to later.
        timeout: the deadline in seconds, of streams as well; None for none.
    """

    __slots__ = ("_metadata", "_terms")

    def __init__(self, payload: Any, terms: Terms) -> None:
        self.payload = payload
        self.timeout = terms.timeout
        self.match = None
        self._terms = terms
        self._metadata: RequestMetadata | None = None

    @property
    def metadata(self) -> RequestMetadata:
        """The metadata of this call, the client's included; assign a dict or pairs to replace."""
        if self._metadata is None:
            self._metadata = RequestMetadata(self._terms.metadata)
        return self._metadata

    @metadata.setter
    def metadata(self, given: Any) -> None:
        self._metadata = RequestMetadata(as_metadata(given))

    def terms(self) -> Terms:
        """On which terms the call is made, as the hooks have left them.

        Raises:
            ConfigurationError: a key or a value that gRPC does not carry.
        """
        terms = self._terms
        if self._metadata is None and self.timeout == terms.timeout:
            return terms
        metadata = terms.metadata if self._metadata is None else as_metadata(self._metadata.pairs)
        return terms._replace(timeout=self.timeout, metadata=metadata)
