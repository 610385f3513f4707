"""paho-mqtt as a codec: packets in and out of memory, no socket, no thread, no lock.

What goes over the network belongs to ``protouser.net``; paho gets its bytes from a ``Stream`` and
writes into one. All of it happens in one thread, and no greenlet is ever switched away inside of
paho, so its locks can do nothing but cost. It keeps the session: CONNECT, subscriptions, messages
that arrive, pings; messages that are published pass it by.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from protouser import ProtouserError
from protouser_mqtt._settings import Settings, as_bytes

__all__ = ["Codec", "Stream"]

_LOCKS: Final = (
    "_in_callback_mutex",
    "_callback_mutex",
    "_msgtime_mutex",
    "_out_message_mutex",
    "_in_message_mutex",
)
_NO_LOCK: Final = nullcontext()


class Stream:
    """What paho takes for its socket: bytes that have arrived, and a function that sends.

    Attributes:
        error: why sending failed.
    """

    def __init__(self, send: Callable[[bytes | bytearray], object]) -> None:
        self._send = send
        self._data = b""
        self._start = 0
        self.error: ProtouserError | None = None

    def feed(self, data: bytes) -> None:
        """Bytes arrived; what came before was read."""
        self._data, self._start = data, 0

    @property
    def pending(self) -> bool:
        """True while there is something to read."""
        return self._start < len(self._data)

    def recv(self, size: int) -> bytes:
        """What has arrived, at most ``size`` bytes, as a socket that does not block has it."""
        start = self._start
        data = self._data[start : start + size]
        if not data:
            raise BlockingIOError
        self._start = start + len(data)
        return data

    def send(self, data: bytes | bytearray) -> int:
        """Send all of it."""
        try:
            self._send(data)
        except ProtouserError as error:
            self.error = error
            raise
        return len(data)

    def close(self) -> None:
        """The socket is closed by its owner."""

    def fileno(self) -> int:
        """There is none."""
        return -1

    def setblocking(self, _flag: bool) -> None:
        """It never blocks."""


class Codec(paho.Client):
    """A paho client for one connection; it never connects again, so it sends nothing twice.

    Args:
        settings: how to connect.
        stream: where its bytes come from and go to.
        next_mid: gives a packet identifier that is free, for its packets too.
    """

    def __init__(self, settings: Settings, stream: Stream, next_mid: Callable[[], int]) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if settings.version == 5 else settings.clean,
            protocol=MQTTProtocolVersion(settings.version),
            reconnect_on_failure=False,
        )
        self._stream = stream
        self._next_mid = next_mid
        self.max_inflight_messages_set(0)
        # its presence keeps paho from writing before it is asked to
        self.on_socket_register_write = _write_later
        for lock in _LOCKS:
            setattr(self, lock, _NO_LOCK)
        self.username_pw_set(settings.username, settings.password)
        if settings.will is not None:
            will = settings.will
            self.will_set(will.topic, bytes(as_bytes(will.payload)), will.qos, will.retain)

    def _create_socket(self) -> Any:
        return self._stream

    def _mid_generate(self) -> int:
        return self._next_mid()


def _write_later(*_paho: Any) -> None:
    """Nothing; ``loop_write`` is called when paho has done what it was asked for."""
