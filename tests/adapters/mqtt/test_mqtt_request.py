"""Requests over a pair of topics, and waiting for what is published: against mosquitto."""

from __future__ import annotations

import gevent
import pytest

from protouser import CallTimeout, ConfigurationError, attach, by_field, contains, equals
from protouser_mqtt import topic

from .conftest import SOON, until


@pytest.fixture(params=[4, 5])
def version(request):
    return request.param


@pytest.fixture
def responder(mosquitto, client_of):
    """Answers what is published to ``ask/...`` on its response topic, or on ``answer/...``."""
    client = client_of(mosquitto.url, version=5)
    client.subscribe("ask/#")

    def answer(message):
        carried = {}
        if "CorrelationData" in message.properties:
            carried["CorrelationData"] = bytes.fromhex(message.properties["CorrelationData"])
        to = message.properties.get("ResponseTopic") or message.topic.replace("ask", "answer", 1)
        client.publish(to, message.payload, properties=carried or None)

    def respond():
        while True:
            message = client.receive(timeout=60)
            if b"late" in message.payload:
                gevent.spawn_later(0.1, answer, message)
            else:
                answer(message)

    greenlet = gevent.spawn(respond)
    yield client
    greenlet.kill()


def test_mqtt_5_says_which_reply_is_whose(mosquitto, client_of, responder, reports):
    client = client_of(mosquitto.url, version=5)
    client.subscribe("answer/1")
    reports.clear()
    asked = [
        gevent.spawn(client.request, "ask/1", f"{number}", reply_to="answer/1")
        for number in range(20)
    ]
    gevent.joinall(asked, timeout=SOON, raise_error=True)
    assert [one.value.payload for one in asked] == [b"%d" % number for number in range(20)]
    own = [report for report in reports if report.name == "request ask/1"]
    assert len(own) == 20
    assert all(report.response_time > 0 and report.exception is None for report in own)


def test_the_topic_of_replies_is_subscribed_to_with_the_first_request(
    mosquitto, client_of, responder, reports
):
    client = client_of(mosquitto.url)
    reports.clear()
    for word in ("one", "two"):
        reply = client.request("ask/2", word, 1, reply_to="answer/2", match=equals(word))
        assert (reply.topic, reply.payload) == ("answer/2", word.encode())
    names = [report.name for report in reports if not report.name.startswith(("publish", "rec"))]
    assert names == ["subscribe answer/2", "request ask/2", "request ask/2"]


def test_an_id_in_the_payload_tells_replies_apart(mosquitto, client_of, responder, version):
    client = client_of(mosquitto.url, version=version, correlate=by_field("id"))
    client.subscribe("answer/3")
    asked = [
        gevent.spawn(client.request, "ask/3", f'{{"id": {number}}}', reply_to="answer/3")
        for number in range(20)
    ]
    gevent.joinall(asked, timeout=SOON, raise_error=True)
    assert [one.value.payload for one in asked] == [b'{"id": %d}' % n for n in range(20)]


def test_a_late_reply_is_counted_and_the_connection_stays(
    mosquitto, client_of, responder, reports, environment
):
    client = client_of(mosquitto.url, version=5)
    client.subscribe("answer/4")
    reports.clear()
    with pytest.raises(CallTimeout, match=r"no reply within 0\.02 s"):
        client.request("ask/4", "late", reply_to="answer/4", timeout=0.02)
    counters = attach(environment).figures.counters
    until(lambda: counters.get(("mqtt", "request ask/4", "late replies")))
    assert client.request("ask/4", "in time", reply_to="answer/4").payload == b"in time"
    assert "connect" not in [report.name for report in reports]


def test_without_anything_that_says_what_answers_it_is_an_error(mosquitto, client_of):
    client = client_of(mosquitto.url)
    with pytest.raises(ConfigurationError, match="give match= or correlate="):
        client.request("ask/5", "x", reply_to="answer/5")


def test_a_matcher_of_topics(mosquitto, client_of, reports):
    client = client_of(mosquitto.url)
    client.subscribe("open/#")
    with client.expect(topic("open/+/b") & contains("x")) as expected:
        for name, payload in [("open/a", "x"), ("open/a/b", "y"), ("open/c/b", "x")]:
            client.publish(name, payload)
    assert expected.message.topic == "open/c/b"
    assert [client.receive(match=~topic("open/a/b")).topic, client.receive().topic] == [
        "open/a",
        "open/a/b",
    ]
    with pytest.raises(ConfigurationError):
        topic("a/#/b")
