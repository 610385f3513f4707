"""``MqttUser``: a Locust user who is a client of a broker."""

from __future__ import annotations

from typing import ClassVar

from protouser import ConfigurationError, ProtocolClient, ProtocolUser, Url
from protouser_mqtt._client import MqttClient
from protouser_mqtt._settings import Settings

__all__ = ["MqttUser"]

_OF_A_PERSON = ("username", "password")


class MqttUser(ProtocolUser):
    """A user of an MQTT broker; methods marked ``@on_message(filter)`` get what it delivers.

    Options of the client may stand on the class, such as ``version = 5`` or ``keepalive = 30``.

    Attributes:
        client: the ``MqttClient`` of ``host``.
    """

    abstract = True
    client_class: ClassVar[type[ProtocolClient] | None] = MqttClient
    client: MqttClient

    @classmethod
    def check_host(cls, given: str | None) -> None:
        super().check_host(given)
        names = MqttClient.option_names.difference(_OF_A_PERSON)
        found = {name: getattr(cls, name) for name in names if hasattr(cls, name)}
        # a property has a value for each user, and none for the class
        options = {name: value for name, value in found.items() if not hasattr(value, "__get__")}
        try:
            Settings.of(Url("mqtt", "localhost"), options, cls.__name__)
        except ConfigurationError as error:
            raise ConfigurationError(f"{cls.__name__}: {error}") from None
