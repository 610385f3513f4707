"""MQTT 3.1.1 and 5: publish, subscribe, receive, and methods that get messages."""

from protouser import on_message
from protouser_mqtt._client import MqttClient
from protouser_mqtt._errors import MqttRefused
from protouser_mqtt._matchers import topic
from protouser_mqtt._message import Message
from protouser_mqtt._settings import Will
from protouser_mqtt._user import MqttUser

__all__ = ["Message", "MqttClient", "MqttRefused", "MqttUser", "Will", "on_message", "topic"]
