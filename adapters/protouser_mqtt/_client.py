"""The MQTT client: publish to the last acknowledgement, subscribe, receive.

Acknowledgements carry the identifier of their message, so a late one is never taken for another
and a message that timed out leaves the connection as it is. Each connection is a session of its
own: what a caller has given up is never sent again behind his back, nor counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Unpack

from paho.mqtt.packettypes import PacketTypes

from protouser import Call, CallOptions, CallTimeout, Request, now
from protouser_mqtt._connection import Connection
from protouser_mqtt._errors import MqttRefused
from protouser_mqtt._listening import ListeningClient
from protouser_mqtt._message import Outgoing
from protouser_mqtt._publish import Publish
from protouser_mqtt._reconnecting import Subscription
from protouser_mqtt._replies import Overdue, Unsent
from protouser_mqtt._settings import as_bytes, as_properties, check_qos
from protouser_mqtt._stamp import check_stamp, stamped
from protouser_mqtt._topics import check_filter, check_topic, fill

__all__ = ["MqttClient"]

Payload = bytes | bytearray | memoryview | str | None
Properties = Mapping[str, Any]


class MqttClient(ListeningClient):
    """A connection to an ``mqtt://host:port``, or ``mqtts://host:port`` for TLS.

    Options: ``version`` ("3.1.1", the default, or 5), ``client_id`` (one of its own by default),
    ``keepalive`` (60 s; 0 for none), ``clean_session`` or ``clean_start`` (True), ``username`` and
    ``password`` (also from the URL), ``will`` (a ``Will``), ``properties`` (of CONNECT, a dict),
    ``max_in_flight`` (messages under way at once; a broker of MQTT 5 may set a lower limit),
    ``message_qos`` (what ``@on_message`` subscribes with, 0), ``timeout`` and ``connect_timeout``
    in seconds, ``connect_backoff`` (seconds before the second attempt to come back; doubled for
    each further one, up to 30); ``proxy`` and ``no_proxy``; for TLS ``verify``, ``ca_file``,
    ``cert``, ``key`` and ``server_name``. After ``close``, or when the connection was
    lost, the next call connects anew.

    Calls take ``name=``, ``timeout=``, ``check=``, ``context=`` and ``catch_response=``.
    """

    def publish(
        self,
        topic: str,
        payload: Payload = b"",
        qos: int = 0,
        retain: bool = False,
        *,
        stamp: bool = False,
        fields: Mapping[str, Any] | None = None,
        properties: Properties | None = None,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Publish a message: a sample from sending to PUBACK (QoS 1) or PUBCOMP (QoS 2).

        With QoS 0 it is counted without a response time once it is handed to the socket. ``topic``
        may be a template such as "sensors/{id}/temperature", filled in from ``fields``; the row is
        "publish" and the template. Waiting for a place among the messages in flight is the series
        "queue" and is not measured. Returns the broker's word, "Success" or "No matching
        subscribers"; None for QoS 0. With ``catch_response`` the finished call.

        With ``stamp`` the time of sending goes along as an MQTT 5 user property, and each of our
        clients that gets the message has a sample "deliver" and the template: the way from one to
        the other. Their machines' clocks must agree; those of one machine do.

        Raises:
            CallTimeout: not acknowledged within ``timeout`` seconds (the client's where None).
            ConnectionLost: the connection ended first.
            MalformedMessage: the broker broke the protocol.
            MqttRefused: a broker of MQTT 5 acknowledged it with a failure.
            ConfigurationError: a topic, payload, QoS or property that cannot be, or a stamp without
                MQTT 5.
        """
        if timeout is None:
            timeout = self.timeout
        if self._connection is None or self._connection.over:
            self.come_back(timeout)
        return self.perform(
            f"publish {topic}",
            self._publish,
            request=Publish(topic, payload, qos, retain, fields, properties, timeout, stamp),
            one_way=qos == 0,
            **options,
        )

    def subscribe(
        self,
        pattern: str,
        qos: int = 0,
        *,
        properties: Properties | None = None,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Subscribe to a topic filter: a sample to SUBACK. Returns the QoS that was granted.

        Each later connection subscribes to it again, as one more call of that name.

        Raises:
            CallTimeout: no SUBACK within ``timeout`` seconds (the client's where None).
            ConnectionLost: the connection ended first.
            MalformedMessage: the broker broke the protocol.
            MqttRefused: the broker does not allow it.
            ConfigurationError: it is no topic filter, or a QoS that cannot be.
        """
        subscription = Subscription(qos, options.get("name"), properties)
        work = partial(self._subscribe, subscription)
        return self._do(f"subscribe {pattern}", work, pattern, timeout, options)

    def unsubscribe(
        self,
        pattern: str,
        *,
        properties: Properties | None = None,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """End a subscription: a sample to UNSUBACK.

        Raises:
            CallTimeout: no UNSUBACK within ``timeout`` seconds (the client's where None).
            ConnectionLost: the connection ended first.
            MqttRefused: a broker of MQTT 5 says no.
        """
        work = partial(self._unsubscribe, properties)
        return self._do(f"unsubscribe {pattern}", work, pattern, timeout, options)

    def subscribe_on_connection(self, pattern: str, subscription: Subscription) -> None:
        work = partial(self._subscribe, subscription)
        asked = Request(pattern, self.timeout)
        self.perform(f"subscribe {pattern}", work, name=subscription.name, request=asked)

    def _do(
        self, row: str, work: Any, pattern: Any, timeout: float | None, options: CallOptions
    ) -> Any:
        if timeout is None:
            timeout = self.timeout
        if self.offline:
            self.come_back(timeout)
        return self.perform(row, work, request=Request(pattern, timeout), **options)

    def _publish(self, call: Call) -> str | None:
        asked: Publish = call.request
        qos, timeout = asked.qos, asked.timeout
        unstamped = self._message(asked, call)
        message = _as_sent(unstamped, asked, call)
        connection = self.connection(timeout)
        deadline = None if timeout is None else now() + timeout
        connection.check_length(message)
        if qos and self._enter(connection, call, timeout, deadline):
            message = _as_sent(unstamped, asked, call)
        try:
            reply = connection.publish(message, deadline)
            if reply is None:
                return None
            reason = connection.wait(reply, deadline)
        except Unsent:
            text = f"not sent within {timeout:g} s: {self.url} does not read"
            raise CallTimeout(text) from None
        except Overdue:
            awaited = "PUBACK" if qos == 1 else "PUBCOMP"
            raise CallTimeout(f"no {awaited} within {timeout:g} s") from None
        call.stop(reply.at)
        if reason is None:
            return "Success"
        if reason.is_failure:
            raise MqttRefused("the message", reason)
        return str(reason)

    def _message(self, asked: Publish, call: Call) -> Outgoing:
        """What is to be sent, checked."""
        topic = asked.topic if asked.fields is None else fill(asked.topic, asked.fields)
        check_topic(topic)
        check_qos(asked.qos)
        if asked.stamp:
            check_stamp(self.settings.version)
        call.one_way = asked.qos == 0
        payload = as_bytes(asked.payload)
        call.request_length = len(payload)
        call.response_length = 0
        more = None
        if asked.properties is not None:
            more = as_properties(PacketTypes.PUBLISH, asked.properties, self.settings.version)
        return Outgoing(topic, payload, asked.qos, asked.retain, more)

    def _enter(
        self, connection: Connection, call: Call, timeout: float | None, deadline: float | None
    ) -> bool:
        """Wait for a place in flight, which is not the broker's time unless none comes.

        True when the call began anew with that.
        """
        try:
            waited = connection.enter(deadline)
        except Overdue:
            raise CallTimeout(
                f"not sent within {timeout:g} s: as many messages as may be in flight wait for"
                " their acknowledgements"
            ) from None
        if waited:
            call.spend("queue", waited)
            call.start()
        return waited > 0

    def _subscribe(self, subscription: Subscription, call: Call) -> int:
        qos, _, properties = subscription
        pattern, timeout = call.request.payload, call.request.timeout
        check_filter(pattern)
        check_qos(qos)
        call.response_length = 0
        more = as_properties(PacketTypes.SUBSCRIBE, properties, self.settings.version)
        deadline = None if timeout is None else now() + timeout
        try:
            reason, at = self.connection(timeout).subscribe(pattern, qos, more, deadline)
        except Overdue:
            raise CallTimeout(f"no SUBACK within {timeout:g} s") from None
        call.stop(at)
        if reason.is_failure:
            raise MqttRefused("the subscription", reason)
        self.subscriptions[pattern] = subscription
        return int(reason.value)

    def _unsubscribe(self, properties: Properties | None, call: Call) -> None:
        pattern, timeout = call.request.payload, call.request.timeout
        check_filter(pattern)
        call.response_length = 0
        more = as_properties(PacketTypes.UNSUBSCRIBE, properties, self.settings.version)
        deadline = None if timeout is None else now() + timeout
        try:
            reason, at = self.connection(timeout).unsubscribe(pattern, more, deadline)
        except Overdue:
            raise CallTimeout(f"no UNSUBACK within {timeout:g} s") from None
        call.stop(at)
        if reason is not None and reason.is_failure:
            raise MqttRefused("to end the subscription", reason)
        self.subscriptions.pop(pattern, None)


def _as_sent(message: Outgoing, asked: Publish, call: Call) -> Outgoing:
    return stamped(message, asked.topic, call.started_at) if asked.stamp else message
