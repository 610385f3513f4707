"""Packets that wait for their answer, by packet identifier (MQTT 5.0, 2.2.1 and 4.3).

An identifier is taken from the moment a packet is sent until its last acknowledgement, whether or
not somebody still waits for that; so an answer that comes late is never taken for another's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from protouser import MalformedMessage
from protouser_mqtt._packets import PUBACK, PUBCOMP, PUBREC, pubrel_packet
from protouser_mqtt._replies import Replies, Reply
from protouser_mqtt._window import Window

__all__ = ["Acknowledgements"]

_FAILURE: Final = 0x80
_OUT_OF_TURN: Final = "a message was acknowledged in the way of another QoS, or out of turn"
_LAST_MID: Final = 65_535
_FIRST_OF: Final = {1: PUBACK, 2: PUBREC}
_TYPES: Final = {
    PUBACK: PacketTypes.PUBACK,
    PUBREC: PacketTypes.PUBREC,
    PUBCOMP: PacketTypes.PUBCOMP,
}


class Acknowledgements:
    """What one connection has sent and the broker has not answered.

    Args:
        replies: who waits.
        limit: how many messages may be in flight.
        after: where to put what is to be done when everything that arrived was read.
        last: the packet identifier that was used last.

    Attributes:
        window: the places in flight.
    """

    def __init__(
        self, replies: Replies, limit: int, after: list[Callable[[], object]], last: int = 0
    ) -> None:
        self.window = Window(limit, replies)
        self._replies = replies
        self._after = after
        self._waiting: dict[int, tuple[Reply, int]] = {}
        self._abandoned: set[int] = set()
        self._asked: dict[int, Reply] = {}
        self._mid = last

    def next_mid(self) -> int:
        """A packet identifier that is not in use."""
        while True:
            self._mid = mid = self._mid % _LAST_MID + 1
            taken = mid in self._waiting or mid in self._abandoned or mid in self._asked
            if not taken:
                return mid

    def expect(self, qos: int) -> Reply:
        """A message is about to be sent; its reply, whose key is the packet identifier."""
        mid = self.next_mid()
        reply = self._replies.new(mid)
        self._waiting[mid] = (reply, _FIRST_OF[qos])
        return reply

    def forget(self, reply: Reply) -> None:
        """A message was not sent after all."""
        if self._waiting.pop(reply.key, None) is not None:
            self.window.leave()

    def abandon(self, reply: Reply) -> bool:
        """Nobody waits for a reply any more; true when now all places wait in vain."""
        waiting = self._waiting.pop(reply.key, None)
        if waiting is None:
            return False
        self._abandoned.add(reply.key)
        return len(self._abandoned) >= self.window.limit

    def take(self, kind: int, mid: int, code: int, at: float) -> bytes | None:
        """A PUBACK, PUBREC or PUBCOMP has arrived; what to answer it with.

        Raises:
            MalformedMessage: it is not the one that this message has to get.
        """
        if kind == PUBREC and code < _FAILURE:
            self._go_on(mid)
            return pubrel_packet(mid)
        waiting = self._waiting.pop(mid, None)
        if waiting is None:
            if mid in self._abandoned:
                self._abandoned.remove(mid)
                self._after.append(self.window.leave)
            return None
        reply, due = waiting
        if kind != due and kind != PUBREC:
            raise MalformedMessage(_OUT_OF_TURN)
        reply.set(_reason(kind, code) if code else None, at)
        self._after += (self.window.leave, reply.wake)
        return None

    def _go_on(self, mid: int) -> None:
        """A message of QoS 2 was received; what is due is PUBCOMP."""
        waiting = self._waiting.get(mid)
        if waiting is not None:
            if waiting[1] == PUBACK:
                raise MalformedMessage(_OUT_OF_TURN)
            self._waiting[mid] = (waiting[0], PUBCOMP)

    def expect_answer(self, mid: int) -> Reply:
        """A SUBSCRIBE or UNSUBSCRIBE is about to be sent; its reply."""
        reply = self._asked[mid] = self._replies.new(mid)
        return reply

    def take_answer(self, mid: int, reason: ReasonCode | None, at: float) -> None:
        """A SUBACK or UNSUBACK has arrived."""
        reply = self._asked.pop(mid, None)
        if reply is not None:
            reply.set(reason, at)
            self._after.append(reply.wake)

    def forget_answer(self, reply: Reply) -> None:
        """Nobody waits for the answer any more."""
        self._asked.pop(reply.key, None)


@lru_cache
def _reason(kind: int, code: int) -> ReasonCode:
    try:
        return ReasonCode(_TYPES[kind], identifier=code)
    except KeyError:
        raise MalformedMessage(f"reason code 0x{code:02x} does not belong there") from None
