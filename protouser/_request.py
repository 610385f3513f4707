"""What a call is about to send, for before-hooks to look at and change.

Clients make a ``Request`` for each of their calls and read it when they send, so that a call means
the same with hooks and without. Protocols that say more about a message than its payload add to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Arguments", "Request"]


class Request:
    """What a client is about to do; a before-hook may change it until the clock starts.

    Attributes:
        payload: the message, as the tester gave it; None for a call that only receives.
        timeout: seconds that the call may take; None for no limit.
        match: which message answers it, where the call waits for one; None for the next.
    """

    __slots__ = ("match", "payload", "timeout")

    def __init__(
        self,
        payload: Any = None,
        timeout: float | None = None,
        match: Callable[[Any], object] | None = None,
    ) -> None:
        self.payload = payload
        self.timeout = timeout
        self.match = match

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.payload!r}>"


class Arguments:
    """What a function wrapped by ``timed`` is about to be called with.

    Each call of a user with hooks has one, so it is made without a function of ours to make it.

    Attributes:
        args: its positional arguments, a tuple.
        kwargs: its keyword arguments, a dict.
    """

    __slots__ = ("args", "kwargs")

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
