"""The handshake on a fresh connection: CONNECT, and what the broker answers, if it is a broker."""

from __future__ import annotations

from typing import Any, Final

from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from protouser import ConnectFailed, MalformedMessage, Url
from protouser_mqtt._errors import explain_answer, explain_refusal, explain_silence, in_words
from protouser_mqtt._paho import Codec
from protouser_mqtt._replies import Overdue, Replies
from protouser_mqtt._settings import Settings

__all__ = ["Handshake"]

#: So many of the first bytes tell a CONNACK from something else.
_TELLING: Final = 8
_CONNACK: Final = 0x20


class Handshake:
    """What is said before messages can go over a connection.

    Attributes:
        connack: the reply to wait for; its value is the reason code and the properties.
    """

    __slots__ = ("_first", "_settings", "_url", "connack")

    def __init__(self, url: Url, settings: Settings, replies: Replies) -> None:
        self.connack = replies.new()
        self._url = url
        self._settings = settings
        self._first = b""

    def begin(self, codec: Codec) -> None:
        """Queue CONNECT."""
        settings, url = self._settings, self._url
        more: dict[str, Any] = {}
        if settings.version == 5:
            more = {"clean_start": settings.clean, "properties": settings.properties}
        codec.connect(url.host, url.port or 1, settings.keepalive, **more)

    def look_at(self, data: bytes) -> None:
        """The first bytes tell what was reached, if it was no broker.

        Raises:
            MalformedMessage: it was none.
        """
        self._first = (self._first + data)[:_TELLING]
        if self._first[0] != _CONNACK:  # a length would be nonsense, and waited for
            raise MalformedMessage(f"{self._url} sent what is no CONNACK")

    def explain(self, error: BaseException, timeout: float | None) -> ConnectFailed:
        """Why there was no CONNACK, as far as the end of the connection tells."""
        if isinstance(error, Overdue):
            return explain_silence(self._url, timeout)
        explained = explain_answer(self._url, self._settings, self._first)
        return explained or ConnectFailed(f"no connection: {error}")

    def accepted(self) -> Properties:
        """What the broker said of itself with its CONNACK.

        Raises:
            ConnectFailed: it refused the connection.
        """
        reason: ReasonCode
        properties: Properties
        reason, properties = self.connack.value
        if reason.is_failure:
            raise explain_refusal(self._url, self._settings, in_words(reason))
        return properties
