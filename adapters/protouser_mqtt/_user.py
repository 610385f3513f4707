"""``MqttUser``: a Locust user who is a client of a broker."""

from __future__ import annotations

from typing import ClassVar

from protouser import ProtocolClient, ProtocolUser
from protouser_mqtt._client import MqttClient

__all__ = ["MqttUser"]


class MqttUser(ProtocolUser):
    """A user of an MQTT broker; methods marked ``@on_message(filter)`` get what it delivers.

    Options of the client may stand on the class, such as ``version = 5`` or ``keepalive = 30``.

    Attributes:
        client: the ``MqttClient`` of ``host``.
    """

    abstract = True
    client_class: ClassVar[type[ProtocolClient] | None] = MqttClient
    client: MqttClient
