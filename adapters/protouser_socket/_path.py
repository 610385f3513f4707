"""What requests with ids tell about the way of datagrams to the server and back.

It is the round trip that is looked at, since one side has one clock. Each request has a number, in
the order of sending, and is told apart by its id.

*Reordered* (RFC 4737, section 3): a reply whose request was sent before that of a reply which has
come already; of those alone that came in time, and once.

*Jitter* (RFC 3550, section 6.4.1): of two replies, one after the other in the order of arrival, how
much the times differ that they took, |D(i-1, i)|. It is a series, of which each reply but the first
is a sample; its mean is what the RFC estimates with a moving average.
"""

from __future__ import annotations

from protouser import Call, now

__all__ = ["Path"]


class Path:
    """The requests under way on a socket, and the replies to them."""

    def __init__(self) -> None:
        self._under_way: dict[Call, tuple[int, float]] = {}
        self._number = 0
        self._next_expected = 0
        self._last_took: float | None = None

    def sent(self, call: Call) -> None:
        """A request leaves now."""
        self._under_way[call] = self._number, now()
        self._number += 1

    def arrived(self, call: Call, at: float) -> None:
        """Its reply came, if it was one with an id."""
        sent = self._under_way.pop(call, None)
        if sent is None:
            return
        number, began = sent
        if number < self._next_expected:
            call.count("reordered")
        else:
            self._next_expected = number + 1
        took = at - began
        if self._last_took is not None:
            call.spend("jitter", abs(took - self._last_took))
        self._last_took = took

    def over(self, call: Call) -> None:
        """It waits no more, whether its reply came or not."""
        self._under_way.pop(call, None)
