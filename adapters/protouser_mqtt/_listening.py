"""What a client gets to hear: the calls that wait for messages of its subscriptions, and requests.

MQTT itself knows no replies. In MQTT 5 a request names the topic for its reply and some data that
the reply is to carry along (section 4.10); in 3.1.1 the payloads have to say it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Unpack

from protouser import (
    Call,
    CallOptions,
    ConfigurationError,
    Correlate,
    Match,
    MessageOptions,
    MessageSource,
    Messaging,
    Request,
    now,
)
from protouser_mqtt._matchers import topic as topic_is
from protouser_mqtt._message import Message
from protouser_mqtt._publish import Asked
from protouser_mqtt._reconnecting import ReconnectingClient, Subscription

__all__ = ["ListeningClient"]

_CORRELATION = "CorrelationData"
_HOW = (
    "nothing in a message of MQTT 3.1.1 says which request it answers; give match= or correlate=,"
    " or open the client with version=5"
)


class Subscribed(MessageSource[Message]):
    """The messages that no ``@on_message`` method takes."""

    def __init__(self, client: ReconnectingClient) -> None:
        self.inbox = client.inbox

    def length_of(self, message: Any) -> int:
        return len(message.payload)


class ListeningClient(Messaging, ReconnectingClient):
    """A client whose subscriptions can be waited on, and requests over a pair of topics."""

    option_names = ReconnectingClient.option_names | MessageOptions.NAMES

    def __init__(self, url: Any, **options: Any) -> None:
        super().__init__(url, **options)
        messages = MessageOptions.of(self, self.options)
        messages.apply(self, self.inbox)
        self.correlate = messages.correlate
        self._source = Subscribed(self)
        self._numbers = itertools.count(1)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        MessageOptions.check(options)

    def readable(self) -> Subscribed:
        return self._readable(self.timeout)

    def connect(self) -> None:
        super().connect()
        self._source.told = False

    def receive(
        self,
        pattern: str | None = None,
        *,
        match: Match | None = None,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """The next ``Message`` that no ``@on_message`` method takes; counted, without a time.

        With ``pattern`` the next whose topic that filter selects, with ``match`` the next for which
        it is true; others are kept for other calls. How long it was waited for is the series
        "wait".

        Raises:
            CallTimeout: none came within ``timeout`` seconds (the client's where None).
            ConnectionLost: the connection ended first.
        """
        if timeout is None:
            timeout = self.timeout
        source = self._readable(timeout)
        row = "receive" if pattern is None else f"receive {pattern}"
        if pattern is not None:
            match = topic_is(pattern) if match is None else topic_is(pattern) & match
        asked = Request(pattern, timeout, match)
        return self.perform(row, source.receive, request=asked, one_way=True, **options)

    def request(
        self,
        topic: str,
        payload: Any = b"",
        qos: int = 0,
        *,
        reply_to: str,
        match: Match | None = None,
        correlate: Any = None,
        timeout: float | None = None,
        fields: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Publish a message and return the one that answers it: a sample from sending to arrival.

        Which one that is, ``match`` or ``correlate`` says, as on every protocol; they see
        ``Message`` objects, and the payload of those where they are made by ``field`` and its like.
        Over MQTT 5 neither is needed: ``ResponseTopic`` and ``CorrelationData`` are sent along, and
        the reply has the same data. A reply that comes too late does the connection no harm.

        Args:
            topic: where to publish; a template where ``fields`` are given.
            payload: bytes, text or None.
            qos: 0, 1 or 2; with 1 or 2 the acknowledgement has to come as well.
            reply_to: the topic, or the filter, of replies; it is subscribed to with the first use,
                as a call of its own.
            match: a predicate of the reply.
            correlate: how the id of a request and of its reply are found; False for no id.
            timeout: seconds until the reply; the client's where None.
            fields: what the template is filled in from.
            properties: MQTT 5 properties by name.
            options: as of every call.

        Raises:
            CallTimeout: no reply, or no acknowledgement, within ``timeout`` seconds.
            ConnectionLost: the connection ended first.
            MqttRefused: a broker of MQTT 5 acknowledged it with a failure.
            ConfigurationError: nothing says which message is the reply.
        """
        if timeout is None:
            timeout = self.timeout
        self._readable(timeout)
        if reply_to not in self.subscriptions:
            self.subscribe_on_connection(reply_to, Subscription(qos))
        by_id = self.correlate if correlate is None else Correlate.of(correlate)
        if self.settings.version == 5:
            properties = {"ResponseTopic": reply_to, **(properties or {})}
            if by_id is None and match is None:
                by_id = _BY_DATA
                properties.setdefault(_CORRELATION, b"%d" % next(self._numbers))
        if by_id is None and match is None:
            raise ConfigurationError(_HOW)
        asked = Asked(topic, payload, qos, False, fields, properties, timeout, match, by_id)
        return self.perform(f"request {topic}", self._ask, request=asked, **options)

    def _publish(self, call: Call) -> Any:
        raise NotImplementedError

    def _readable(self, timeout: float | None) -> Subscribed:
        if self.offline and (self._source.told or not len(self.inbox)):
            self.come_back(timeout)
        return self._source

    def _ask(self, call: Call) -> Message:
        asked: Asked = call.request
        inbox, began = self.inbox, now()
        number = None if asked.correlate is None else asked.correlate.id_of(asked)
        if number is not None:
            assert asked.correlate is not None
            identify = asked.correlate.of_message
            expected = inbox.ask(identify, number, row=call.name, match=asked.match)
        elif asked.match is not None:
            expected = inbox.expect(match=asked.match, after=began)
        else:
            raise ConfigurationError(
                "correlate= finds no id in this request; give it match=, or correlate=False"
            )
        try:
            self._publish(call)
            message, at, waited = expected.wait(asked.timeout, began, "reply")
        except BaseException as error:
            expected.cancel()
            self._source.note_end(error)
            raise
        finally:
            call.one_way = False  # whatever its QoS: it has an answer
        call.stop(at)
        self._source.note_arrival(call, message, at, waited)
        return message


def _data_of(message: Any) -> Any:
    """The correlation data; paho shows that of a message in hexadecimal digits."""
    data = (message.properties or {}).get(_CORRELATION)
    return data.hex() if isinstance(data, bytes) else data


_BY_DATA = Correlate(_data_of, _data_of)
