"""What a broker says no with, in words that a table of failures can show."""

from __future__ import annotations

from paho.mqtt.reasoncodes import ReasonCode

from protouser import ConnectFailed, ProtouserError, Url
from protouser_mqtt._settings import Settings

__all__ = ["MqttRefused", "explain_answer", "explain_refusal", "explain_silence", "in_words"]


class MqttRefused(ProtouserError):
    """The broker answered that it will not: a reason code of 0x80 or more.

    Attributes:
        code: the reason code (MQTT 5.0, section 2.4); 0x80 where MQTT 3.1.1 knows no more.
    """

    def __init__(self, what: str, reason: ReasonCode) -> None:
        super().__init__(f"the broker refused {what}: {in_words(reason)}")
        self.code: int = reason.value


def in_words(reason: ReasonCode) -> str:
    """A reason code's name, as a part of a sentence."""
    name = str(reason)
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


_REMEDIES = {
    "bad user name or password": "; check username= and password=, or those in the URL",
    "not authorized": "; may this user connect? check username= and password=",
    "client identifier not valid": "; choose another client_id=",
}


def explain_refusal(url: Url, settings: Settings, reason: str) -> ConnectFailed:
    """CONNACK came, and said no."""
    if reason == "unsupported protocol version":
        if settings.version == 5:
            text = "the broker speaks 3.1.1 only; leave out version=5"
        else:
            text = "the broker does not speak that; try version=5"
        return ConnectFailed(f"{url} was asked for {settings.speaks}: {text}")
    return ConnectFailed(f"{url} refused the connection: {reason}{_REMEDIES.get(reason, '')}")


def explain_silence(url: Url, timeout: float | None) -> ConnectFailed:
    """The connection was there, and CONNACK did not come."""
    return ConnectFailed(f"no CONNACK from {url} within {timeout:g} s; does it speak MQTT there?")


def explain_answer(url: Url, settings: Settings, first: bytes) -> ConnectFailed | None:
    """What came was no CONNACK: nothing at all (b""), an alert of TLS, or something else."""
    if not first:
        other = "leave out version=5" if settings.version == 5 else "try version=5"
        return ConnectFailed(
            f"{url} closed the connection without a CONNACK; does it speak {settings.speaks}?"
            f" if not, {other}"
        )
    if first[:2] == b"\x15\x03" and url.scheme == "mqtt":
        return ConnectFailed(f"{url} answers in TLS; write mqtts:// for mqtt://")
    if first[:1] != b"\x20":
        return ConnectFailed(
            f"{url} answered CONNECT with what is no CONNACK; does it speak MQTT there?"
        )
    if settings.version == 4 and first[1:2] == b"\x02" and first[3:4] == b"\x01":
        return explain_refusal(url, settings, "unsupported protocol version")
    return None
