"""The upgrade as before-hooks see it: the headers that are going to be sent."""

from __future__ import annotations

from dataclasses import replace

from protouser import Request
from protouser_websocket._opening import Opening, header_pairs

__all__ = ["Handshake"]


class Handshake(Request):
    """What a client is about to ask for when it connects.

    Attributes:
        headers: (name, value) pairs in the order in which they are sent, without those that the
            handshake itself needs; a list that a hook may change, or replace by a dict.
    """

    __slots__ = ("_as_given", "headers")

    def __init__(self, headers: tuple[tuple[str, str], ...], timeout: float | None) -> None:
        super().__init__(None, timeout)
        self._as_given = headers
        self.headers = list(headers)

    def applied_to(self, opening: Opening) -> Opening:
        """The opening with the headers that the hooks have left.

        Raises:
            ConfigurationError: a header cannot be sent.
        """
        if tuple(self.headers) == self._as_given:
            return opening
        return replace(opening, headers=tuple(header_pairs(self.headers)))
