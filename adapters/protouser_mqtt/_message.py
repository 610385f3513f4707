"""A message as a subscriber gets it, and one that is about to be published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from paho.mqtt.properties import Properties

__all__ = ["Message", "Outgoing"]


@dataclass(frozen=True, slots=True)
class Message:
    """A message that the broker delivered.

    Attributes:
        topic: what it was published to.
        payload: its bytes.
        qos: the quality of service that it was delivered with.
        retain: True for one that the broker had kept.
        properties: its MQTT 5 properties by name, such as ``ContentType``; empty for 3.1.1.
        at: the ``protouser.now()`` at which it arrived.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0


class Outgoing(NamedTuple):
    """A message to be published; the names are those of PUBLISH."""

    topic: str
    payload: bytes | bytearray
    qos: int
    retain: bool
    properties: Properties | None
