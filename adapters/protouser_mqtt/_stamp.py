"""How long a message was on its way: the time of sending travels with it, as an MQTT 5 property.

That is the time of day, since clocks that count from nowhere differ between machines. So a figure
is as right as the clocks of both sides agree: on one machine they are one clock.
"""

from __future__ import annotations

from contextlib import suppress
from math import isfinite

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from protouser import Call, ConfigurationError, ProtocolClient, ProtouserError
from protouser_mqtt._message import Message, Outgoing

__all__ = ["Delivery", "check_stamp", "stamped"]

_NAME = "protouser-sent"


def check_stamp(version: int) -> None:
    """Refuse what cannot be stamped.

    Raises:
        ConfigurationError: this version has no user properties.
    """
    if version != 5:
        raise ConfigurationError(
            "stamp=True sends the time along as a user property, which MQTT 3.1.1 does not have;"
            " open the client with version=5"
        )


def stamped(message: Outgoing, template: str, sent_at: float) -> Outgoing:
    """The message with the time of day at which it is sent, and the name of its topic's row."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if message.properties is not None:  # a hook, or another call, may hold the same object
        vars(properties).update(vars(message.properties))
    others = getattr(properties, "UserProperty", [])
    vars(properties)["UserProperty"] = [*others, (_NAME, f"{sent_at:.9f} {template}")]
    return message._replace(properties=properties)


class Delivery:
    """A stamped message that has arrived.

    Attributes:
        message: what arrived.
        template: the topic as its sender writes it in his rows.
        sent_at: the time of day at which it was sent.
    """

    def __init__(self, message: Message, template: str, sent_at: float) -> None:
        self.message = message
        self.template = template
        self.sent_at = sent_at

    @classmethod
    def of(cls, message: Message) -> Delivery | None:
        """Where a message has a stamp, and was on its way all the time.

        What the broker had kept for whoever subscribes is as old as it is, and tells of no way.
        """
        if message.retain:
            return None
        for name, value in message.properties.get("UserProperty", ()):
            if name == _NAME:
                time, _, template = value.partition(" ")
                with suppress(ValueError):
                    sent_at = float(time)
                    return cls(message, template, sent_at) if isfinite(sent_at) else None
        return None

    def report(self, client: ProtocolClient) -> None:
        """A sample of the row "deliver", from sending to the arrival here."""
        # one-way until it begins: it is not the call of the task that happens to run
        call = client.measure(f"deliver {self.template}", request=self.message, one_way=True)
        with suppress(ProtouserError):  # it was counted
            call.run(self._measure)

    def _measure(self, call: Call) -> Message:
        at = self.message.at
        call.one_way = False
        call.response_length = len(self.message.payload)
        call.start(at)
        took = call.started_at - self.sent_at
        call.stop(at)
        if took < 0:
            raise ProtouserError(
                "it arrived before it was sent: the clocks of the two machines do not agree"
            )
        call.start(at - took)
        return self.message
