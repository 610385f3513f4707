"""The options of a client, read and checked once, before anything is sent."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from protouser import ConfigurationError, Url
from protouser_mqtt._topics import check_topic

__all__ = [
    "MOST_IN_FLIGHT",
    "Settings",
    "Will",
    "as_bytes",
    "as_properties",
    "check_qos",
    "seconds",
]

#: A packet identifier has 16 bits, and subscribing needs some of them.
MOST_IN_FLIGHT: Final = 65_000

_VERSIONS: Final[Mapping[Any, int]] = {"3.1.1": 4, 4: 4, 311: 4, 3.11: 4, "5": 5, 5: 5, "5.0": 5}
_LONGEST_KEEPALIVE: Final = 65_535
#: What the two bytes of a length in CONNECT can say.
_LONGEST: Final = 65_535
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes when this client vanishes without a DISCONNECT.

    Attributes:
        topic: where.
        payload: what; a ``str`` is sent as UTF-8.
        qos: 0, 1 or 2.
        retain: have the broker keep it.
    """

    topic: str
    payload: bytes | str = b""
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """How to connect; the meaning of each field is that of the client's option.

    Attributes:
        version: the protocol level of CONNECT: 4 is MQTT 3.1.1, 5 is MQTT 5.
    """

    version: int
    client_id: str
    keepalive: int
    clean: bool
    username: str | None
    password: str | None = field(repr=False)
    will: Will | None
    max_in_flight: int
    message_qos: int
    properties: Properties | None

    @classmethod
    def of(cls, url: Url, options: Mapping[str, Any], owner: str) -> Settings:
        """The settings that options ask for; ``owner`` begins a made-up client id.

        Raises:
            ConfigurationError: an option that cannot be.
        """
        version = _version(options.get("version", "3.1.1"))
        clean = _clean(options)
        client_id = options.get("client_id")
        if client_id == "" and not clean:
            raise ConfigurationError("a session that is to be kept needs a client_id")
        username, password = _credentials(url, options)
        return cls(
            version=version,
            client_id=_new_id(owner) if client_id is None else _text("client_id", client_id),
            keepalive=_whole("keepalive", options.get("keepalive", 60), 0, _LONGEST_KEEPALIVE),
            clean=clean,
            username=username,
            password=password,
            will=_will(options.get("will")),
            max_in_flight=_whole(
                "max_in_flight", options.get("max_in_flight") or MOST_IN_FLIGHT, 1, MOST_IN_FLIGHT
            ),
            message_qos=check_qos(options.get("message_qos", 0)),
            properties=as_properties(PacketTypes.CONNECT, options.get("properties"), version),
        )

    @property
    def speaks(self) -> str:
        """The protocol version in words."""
        return "MQTT 5" if self.version == 5 else "MQTT 3.1.1"


def check_qos(qos: Any) -> int:
    """A quality of service, which is 0, 1 or 2.

    Raises:
        ConfigurationError: it is something else.
    """
    if type(qos) is int and 0 <= qos <= 2:
        return qos
    raise ConfigurationError(f"qos={qos!r}; a quality of service is 0, 1 or 2")


def as_bytes(payload: Any) -> bytes | bytearray:
    """A payload as it is sent: ``str`` as UTF-8, None as no bytes.

    Raises:
        ConfigurationError: it is something else.
    """
    if isinstance(payload, bytes | bytearray):
        return payload
    if payload is None:
        return b""
    if isinstance(payload, str):
        return _utf_8("the payload", payload)
    if isinstance(payload, memoryview):
        return bytes(payload)
    raise ConfigurationError(
        f"a payload is bytes, str or None, not {type(payload).__name__}; json.dumps() makes text"
    )


def seconds(name: str, value: Any) -> float:
    """A duration that an option gives.

    Raises:
        ConfigurationError: it is no number, or not above 0.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return value
    raise ConfigurationError(f"{name}={value!r} is no number of seconds above 0")


def as_properties(packet: int, given: Any, version: int) -> Properties | None:
    """MQTT 5 properties of a packet, from a dict of their names or from paho's own object.

    Raises:
        ConfigurationError: this version has none, or there is no such property.
    """
    if given is None:
        return None
    if version != 5:
        raise ConfigurationError("properties are of MQTT 5; open the client with version=5")
    if isinstance(given, Properties):
        return given
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"properties={given!r}; pass a dict, such as {{'ContentType': 'text/plain'}}"
        )
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in given.items():
        try:
            setattr(properties, str(name).replace(" ", ""), value)
            properties.pack()  # type: ignore[no-untyped-call]
        except Exception as error:
            shown = "what was given" if "authentication" in str(name).lower() else repr(value)
            raise ConfigurationError(
                f"the property {name!r} cannot be {shown} here: {error}"
            ) from error
    return properties


def _version(given: Any) -> int:
    try:
        return _VERSIONS[given]
    except (KeyError, TypeError):
        raise ConfigurationError(
            f"version={given!r} is no version of MQTT that is spoken here; there are '3.1.1' and 5"
        ) from None


def _clean(options: Mapping[str, Any]) -> bool:
    if "clean_start" in options and "clean_session" in options:
        raise ConfigurationError("clean_start and clean_session are one option; give one of them")
    clean = options.get("clean_start", options.get("clean_session", True))
    if not isinstance(clean, bool):
        raise ConfigurationError(f"clean_session={clean!r}; it is True or False")
    return clean


def _credentials(url: Url, options: Mapping[str, Any]) -> tuple[str | None, str | None]:
    username = options.get("username", url.username)
    password = options.get("password", url.password)
    for name, value in (("username", username), ("password", password)):
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"a {name} is text, not {type(value).__name__}")
        _check_length(f"the {name}", _utf_8(f"the {name}", value or ""))
    if password is not None and username is None:
        raise ConfigurationError("a password needs a username beside it")
    return username, password


def _will(given: Any) -> Will | None:
    if given is None:
        return None
    if isinstance(given, Mapping):
        try:
            given = Will(**given)
        except TypeError:
            raise ConfigurationError("a will has topic, payload, qos and retain") from None
    if isinstance(given, tuple) and 1 <= len(given) <= len(fields(Will)):
        given = Will(*given)
    if not isinstance(given, Will):
        raise ConfigurationError(f"will={given!r}; write Will('topic', b'payload', qos=1)")
    check_topic(given.topic)
    check_qos(given.qos)
    _check_length("the payload of the will", as_bytes(given.payload))
    return given


def _new_id(owner: str) -> str:
    """One that no other client has, in this process or another."""
    return f"{owner}-{next(_numbers)}-{os.getpid()}-{secrets.token_hex(3)}"


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        _check_length(name, _utf_8(name, value))
        return value
    raise ConfigurationError(f"{name}={value!r} is no text")


def _utf_8(what: str, text: str) -> bytes:
    """Text as it goes over the wire; it may be secret, so the error does not show it."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{what} has half of a surrogate pair in it, which UTF-8 cannot carry"
        ) from None


def _check_length(what: str, data: bytes | bytearray) -> None:
    if len(data) > _LONGEST:
        raise ConfigurationError(f"{what} is longer than the {_LONGEST} bytes that MQTT allows")


def _whole(name: str, value: Any, least: int, most: int) -> int:
    if type(value) is int and least <= value <= most:
        return value
    raise ConfigurationError(f"{name}={value!r} is no whole number from {least} to {most}")
