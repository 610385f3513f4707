"""How many messages may be under way at once: sent with QoS 1 or 2, and not acknowledged.

A broker of MQTT 5 says how many it takes (Receive Maximum, section 4.9) and ends the connection of
a client that sends more. paho neither looks at that number nor says how long a message waited in
its queue, so the window is ours, and waiting for a place in it is not the broker's time.
"""

from __future__ import annotations

from collections import deque

from protouser import now
from protouser_mqtt._replies import Replies, Reply

__all__ = ["Window"]


class Window:
    """A number of places; who finds none free waits for one, first come, first served.

    Attributes:
        limit: how many places there are.
        taken: how many are not free.
    """

    def __init__(self, limit: int, replies: Replies) -> None:
        self.limit = limit
        self.taken = 0
        self._replies = replies
        self._queue: deque[Reply] = deque()

    def enter(self, deadline: float | None) -> float:
        """Take a place, and return the seconds for which it was waited.

        Raises:
            Overdue: none was free by the deadline.
            ConnectionLost: the connection ended first.
        """
        if self.taken < self.limit:
            self.taken += 1
            return 0.0
        began = now()
        reply = self._replies.new()
        self._queue.append(reply)
        try:
            self._replies.wait(reply, deadline)
        except BaseException:
            self._give_up(reply)
            raise
        return now() - began

    def leave(self) -> None:
        """Give a place to the next who waits, or free it."""
        while self._queue:
            reply = self._queue.popleft()
            if not reply.done:
                reply.set(None, now())
                reply.wake()
                return
        self.taken -= 1

    def _give_up(self, reply: Reply) -> None:
        if reply in self._queue:
            self._queue.remove(reply)
        elif reply.error is None:
            self.leave()
