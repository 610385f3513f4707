"""One MQTT connection: socket, codec, replies and window, which live and die together.

Bytes come by callback in gevent's hub and are decoded right there; nothing here or in paho blocks.
What they mean is noted while a codec has the word and done when it is finished, because waking a
greenlet runs the user's code at once, which may send on this very connection. Sending happens in
the greenlet that sends, so a broker that does not read holds up that greenlet alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from protouser import (
    CallTimeout,
    ConnectionLost,
    MalformedMessage,
    ProtouserError,
    Url,
    now,
)
from protouser.net import Deadline, HubSocket, Proxy, TlsOptions, open_socket
from protouser_mqtt._acknowledgements import Acknowledgements
from protouser_mqtt._errors import in_words
from protouser_mqtt._handshake import Handshake
from protouser_mqtt._keepalive import Keepalive
from protouser_mqtt._message import Message, Outgoing
from protouser_mqtt._packets import (
    ACKNOWLEDGEMENTS,
    GREATEST_PACKET,
    Framer,
    check_length,
    publish_packet,
    read_acknowledgement,
)
from protouser_mqtt._paho import Codec, Stream
from protouser_mqtt._replies import Overdue, Replies, Reply, Unsent
from protouser_mqtt._settings import MOST_IN_FLIGHT, Settings

__all__ = ["Connection"]

_GOODBYE_MAY_TAKE: Final = 0.2
_LAST_MID: Final = 65_535


class Connection:
    """One MQTT connection; ``open`` makes it, and after its end it is of no use any more.

    Args:
        url: the broker.
        settings: how to connect.
        on_message: called in the hub with each message.
        on_lost: called when an open connection has ended otherwise than by ``close``.

    Attributes:
        over: it has ended.
        ended_by: why.
        served: a message was acknowledged, or came.
    """

    _socket: HubSocket

    def __init__(
        self,
        url: Url,
        settings: Settings,
        on_message: Callable[[Message], object],
        on_lost: Callable[[Connection, BaseException], object],
    ) -> None:
        self.url = url
        self.over = self.served = False
        self.ended_by: BaseException | None = None
        self._settings = settings
        self._on_message = on_message
        self._on_lost = on_lost
        self._replies = Replies()
        self._after: list[Callable[[], object]] = []
        # in a session that is kept, the broker may still know the identifiers of former messages
        last = 0 if settings.clean else random.randrange(_LAST_MID)
        self._acks = Acknowledgements(self._replies, settings.max_in_flight, self._after, last)
        self._framer = Framer()
        self._stream = Stream(self._send)
        self._codec = Codec(settings, self._stream, self._acks.next_mid)
        self._listen()
        self._timeout: float | None = None
        self._handshake = Handshake(url, settings, self._replies)
        self._at = 0.0
        self._opened = self._reading = False
        self._fate: ProtouserError | None = None
        self._keepalive = Keepalive(self._look)
        self._greatest_packet = GREATEST_PACKET

    def open(
        self,
        tls: TlsOptions | None,
        proxy: Proxy | None,
        timeout: float | None,
        mark: Callable[..., object],
    ) -> float:
        """Connect, and return the ``now()`` at which CONNACK arrived; marks the phases.

        Raises:
            ConnectFailed: no connection, no CONNACK within ``timeout`` seconds, or one that
                refuses.
        """
        url, deadline = self.url, Deadline(timeout)
        assert url.port is not None
        self._socket = open_socket(
            self,
            url.host,
            url.port,
            timeout=timeout,
            tls=tls,
            proxy=proxy,
            peer=str(url),
            mark=mark,
        )
        try:
            return self._shake_hands(deadline, mark)
        except BaseException:
            self._socket.close()
            raise

    @property
    def opened_at(self) -> float:
        """The ``now()`` at which the broker took it."""
        return self._handshake.connack.at

    def enter(self, deadline: float | None) -> float:
        """Take a place in flight, and return the seconds for which it was waited.

        Raises:
            Overdue: there was none by the deadline.
            ConnectionLost: the connection ended first.
        """
        return self._acks.window.enter(deadline)

    def publish(self, message: Outgoing, deadline: float | None) -> Reply | None:
        """Send a message; a reply to wait for unless it has QoS 0. ``enter`` comes first then.

        Raises:
            ConnectionLost: the connection has ended.
            Unsent: the broker did not take the bytes by the deadline.
        """
        reply = self._acks.expect(message.qos) if message.qos else None
        packet = publish_packet(message, reply.key if reply else 0, self._settings.version)
        try:
            self._socket.send(packet, None if deadline is None else max(0.0, deadline - now()))
        except BaseException as error:
            # a message that was sent in part has ended the connection
            if reply is not None and not self.over:
                self._acks.forget(reply)
            if isinstance(error, CallTimeout):
                raise Unsent from None
            raise
        return reply

    def wait(self, reply: Reply, deadline: float | None) -> ReasonCode | None:
        """The last word of the broker on a message; None is a plain success.

        Raises:
            Overdue: it had not come by the deadline.
            ConnectionLost: the connection ended first.
        """
        try:
            self._replies.wait(reply, deadline)
        except BaseException:
            if self._acks.abandon(reply) and not self.over:
                self._socket.close(
                    ConnectionLost(
                        f"the connection to {self.url} was closed: all messages that may be in"
                        " flight wait in vain for their acknowledgements"
                    )
                )
            raise
        self.served = True
        reason: ReasonCode | None = reply.value
        return reason

    def check_length(self, message: Outgoing) -> None:
        """Refuse a packet that is longer than there can be, or than the broker takes."""
        check_length(message, self._settings.version, self._greatest_packet)

    def subscribe(
        self, pattern: str, qos: int, properties: Properties | None, deadline: float | None
    ) -> tuple[ReasonCode, float]:
        """Subscribe, and return the broker's word and the ``now()`` at which it came."""
        request = partial(self._codec.subscribe, pattern, qos, properties=properties)
        reason, at = self._ask(request, deadline)
        if reason is None:
            raise self._malformed()
        return reason, at

    def unsubscribe(
        self, pattern: str, properties: Properties | None, deadline: float | None
    ) -> tuple[ReasonCode | None, float]:
        """Unsubscribe, and return the broker's word and the ``now()`` at which it came."""
        return self._ask(partial(self._codec.unsubscribe, pattern, properties), deadline)

    def close(self) -> None:
        """Say goodbye and close; who waits is woken. Safe to call twice."""
        if self.over:
            return
        if self._opened:
            with suppress(ProtouserError, Unsent):
                self._codec.disconnect()
                self._flush(now() + _GOODBYE_MAY_TAKE)
        self._end(ConnectionLost(f"the connection to {self.url} was closed here"))

    def on_data(self, data: bytes, at: float) -> None:
        self._at = at
        if not self._opened:
            self._handshake.look_at(data)
        try:
            self._decode(data)
        finally:
            after = self._after[:]
            self._after.clear()
            for action in after:
                action()
        if self._fate is not None:
            raise self._fate

    def on_close(self, error: BaseException | None) -> None:
        if isinstance(error, ProtouserError):
            reason: BaseException = error
        elif error is None:
            reason = ConnectionLost(f"{self.url} closed the connection")
        else:
            reason = self._malformed()
            reason.__cause__ = error
        lost = self._opened and not self.over
        self._end(reason)
        if lost:
            self._on_lost(self, reason)

    def _shake_hands(self, deadline: Deadline, mark: Callable[..., object]) -> float:
        handshake, left = self._handshake, deadline.left()
        until = None if left is None else now() + left
        try:
            handshake.begin(self._codec)
            self._flush(until)
            self._replies.wait(handshake.connack, until)
        except Overdue as error:
            raise handshake.explain(error, deadline.seconds) from None
        except (ConnectionLost, MalformedMessage) as error:
            raise handshake.explain(error, deadline.seconds) from error
        self._accept(handshake.accepted())
        mark("connack", handshake.connack.at)
        return handshake.connack.at

    def _accept(self, properties: Properties) -> None:
        """The broker took us; what it said about itself holds for the whole connection."""
        self._opened = True
        most = getattr(properties, "ReceiveMaximum", MOST_IN_FLIGHT)
        self._acks.window.limit = min(self._settings.max_in_flight, most)
        self._greatest_packet = getattr(properties, "MaximumPacketSize", GREATEST_PACKET)
        keepalive = getattr(properties, "ServerKeepAlive", self._settings.keepalive)
        if not self.over:
            self._keepalive.start(keepalive)

    def _look(self) -> bool:
        """Ping where it is time to; end the connection of a broker that did not answer the last."""
        self._codec.loop_misc()
        if self._fate is not None:
            text = f"{self.url} did not answer a ping within {self._keepalive.seconds} s"
            self._socket.close(ConnectionLost(text))
            return False
        with suppress(ProtouserError, Unsent):  # it has ended, and who waits is told so
            self._write()
        return not self.over

    def _ask(
        self, request: Callable[[], tuple[Any, int | None]], deadline: float | None
    ) -> tuple[Any, float]:
        _, mid = request()
        if mid is None:
            raise ConnectionLost(f"the connection to {self.url} has ended")
        reply = self._acks.expect_answer(mid)
        try:
            self._flush(deadline)
            self._replies.wait(reply, deadline)
        finally:
            self._acks.forget_answer(reply)
        return reply.value, reply.at

    def _flush(self, deadline: float | None) -> None:
        """Send what paho has queued, in the greenlet that had it do so."""
        self._timeout = None if deadline is None else max(0.0, deadline - now())
        self._write()

    def _write(self) -> None:
        self._codec.loop_write()
        error = self._stream.error
        if error is None:
            return
        self._socket.close(ConnectionLost(f"{self.url} does not read what is sent"))
        if isinstance(error, CallTimeout):
            raise Unsent from error
        raise error

    def _send(self, data: bytes | bytearray) -> None:
        self._socket.send(data, self._timeout)  # type: ignore[arg-type]

    def _decode(self, data: bytes) -> None:
        for packet in self._framer.feed(data):
            kind = packet[0] & 0xF0
            if kind in ACKNOWLEDGEMENTS:
                mid, code = read_acknowledgement(packet)
                answer = self._acks.take(kind, mid, code, self._at)
                if answer:
                    self._socket.send(answer)
            elif self._fate is None:
                self._have_read(packet)

    def _have_read(self, packet: bytes) -> None:
        """Have paho read a packet, and answer it if need be."""
        codec, stream = self._codec, self._stream
        stream.feed(packet)
        self._reading = True
        while stream.pending and self._fate is None:
            if codec.loop_read() is not MQTTErrorCode.MQTT_ERR_SUCCESS and self._fate is None:
                self._fate = self._malformed()
        self._reading = False
        if codec.want_write() and self._fate is None:
            self._write()

    def _malformed(self) -> MalformedMessage:
        return MalformedMessage(f"{self.url} sent what is no MQTT, or not in order")

    def _end(self, error: BaseException) -> None:
        if self.over:
            return
        self.over, self.ended_by = True, error
        self._keepalive.stop()
        self._socket.close()
        self._replies.end(error)

    def _listen(self) -> None:
        """Have paho call what is below."""
        codec = self._codec
        codec.on_connect = self._on_connack
        codec.on_subscribe = codec.on_unsubscribe = self._on_answer
        codec.on_message = self._on_publish
        codec.on_disconnect = self._on_disconnect

    def _on_connack(
        self, _codec: Any, _data: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        connack = self._handshake.connack
        connack.set((reason, properties), self._at)
        self._after.append(connack.wake)

    def _on_answer(
        self, _codec: Any, _data: Any, mid: int, reasons: list[ReasonCode], _more: Any
    ) -> None:
        self._acks.take_answer(mid, reasons[0] if reasons else None, self._at)

    def _on_publish(self, _codec: Any, _data: Any, got: paho.MQTTMessage) -> None:
        try:
            topic = got.topic
        except UnicodeDecodeError:
            self._fate = MalformedMessage(f"{self.url} sent a topic that is not UTF-8")
            return
        properties: dict[str, Any] = {}
        if got.properties is not None:
            properties = got.properties.json()  # type: ignore[no-untyped-call]
        self.served = True
        message = Message(
            topic, bytes(got.payload), got.qos, bool(got.retain), properties, self._at
        )
        self._after.append(partial(self._on_message, message))

    def _on_disconnect(
        self, _codec: Any, _data: Any, flags: Any, reason: ReasonCode, _more: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._fate = ConnectionLost(f"{self.url} ended the connection: {in_words(reason)}")
        elif self._fate is None and not self._reading:
            self._fate = ConnectionLost(f"the connection to {self.url} has ended")
