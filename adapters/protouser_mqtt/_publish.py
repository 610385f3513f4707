"""What a publish is about to send, for hooks to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from protouser import Correlate, Match, Request

__all__ = ["Asked", "Publish"]


class Publish(Request):
    """A message that is about to be published.

    Attributes:
        topic: where to; a template where ``fields`` is not None.
        payload: bytes, text or None.
        qos: 0, 1 or 2.
        retain: True for a message that the broker is to keep.
        fields: what the template is filled in from.
        properties: MQTT 5 properties by name, or None.
        timeout: seconds that the acknowledgement may take.
        stamp: True where the time of sending goes along.
    """

    __slots__ = ("fields", "properties", "qos", "retain", "stamp", "topic")

    def __init__(
        self,
        topic: str,
        payload: Any,
        qos: int,
        retain: bool,
        fields: Mapping[str, Any] | None,
        properties: Mapping[str, Any] | None,
        timeout: float | None,
        stamp: bool = False,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.fields = fields
        self.properties = properties
        self.timeout = timeout
        self.stamp = stamp
        self.match = None


class Asked(Publish):
    """A message that is about to be published and has a reply.

    Attributes:
        match: which message is the reply.
        correlate: how the id of both is found; None where there is none.
    """

    __slots__ = ("correlate",)

    def __init__(
        self,
        topic: str,
        payload: Any,
        qos: int,
        retain: bool,
        fields: Mapping[str, Any] | None,
        properties: Mapping[str, Any] | None,
        timeout: float | None,
        match: Match | None,
        correlate: Correlate | None,
    ) -> None:
        super().__init__(topic, payload, qos, retain, fields, properties, timeout)
        self.match = match
        self.correlate = correlate
