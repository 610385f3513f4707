"""Stamped messages: how long they were on their way to each subscriber; against mosquitto."""

from __future__ import annotations

from locust import constant, task

import gevent
import pytest

from protouser import ConfigurationError, after_call, now
from protouser.testing import load
from protouser_mqtt import MqttUser, on_message

from .conftest import SOON, until


@pytest.fixture
def pair(mosquitto, client_of, reports):
    """A subscriber to ``open/way/#``, and who publishes there."""
    listener, speaker = (client_of(mosquitto.url, version=5) for _ in range(2))
    listener.subscribe("open/way/#", 1)
    reports.clear()
    return listener, speaker


def delivered(reports):
    return [report for report in reports if report.name.startswith("deliver")]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_stamped_message_is_a_sample_where_it_arrives(qos, pair, reports):
    listener, speaker = pair
    speaker.publish("open/way/{id}", b"12345", qos, stamp=True, fields={"id": 7})
    message = listener.receive()
    (report,) = until(lambda: delivered(reports), "the sample")
    assert (message.topic, report.name) == ("open/way/7", "deliver open/way/{id}")
    assert (report.request_type, report.response_length, report.exception) == ("mqtt", 5, None)
    assert 0 < report.response_time < SOON * 1000


def test_the_way_ends_with_the_arrival_and_not_when_somebody_reads(pair, reports):
    listener, speaker = pair
    began = now()
    speaker.publish("open/way/1", b"x", 1, stamp=True)
    (report,) = until(lambda: delivered(reports), "the sample")
    assert report.response_time / 1000 < now() - began + 0.01, "by another clock"
    listener.receive()
    assert delivered(reports) == [report]


def test_other_properties_and_messages_without_a_stamp_are_left_alone(pair, reports):
    listener, speaker = pair
    mine = {"ContentType": "text/plain", "UserProperty": [("mine", "1")]}
    for _ in range(2):
        speaker.publish("open/way/1", b"x", 1, stamp=True, properties=mine)
    speaker.publish("open/way/1", b"x", 1, properties=mine)
    first, second, plain = (listener.receive().properties for _ in range(3))
    for properties, stamps in ((first, 1), (second, 1), (plain, 0)):
        assert properties["ContentType"] == "text/plain"
        assert tuple(properties["UserProperty"][0]) == ("mine", "1")
        assert len(properties["UserProperty"]) == 1 + stamps
    assert mine == {"ContentType": "text/plain", "UserProperty": [("mine", "1")]}
    assert len(until(lambda: delivered(reports), "the samples")) == 2


def test_the_wait_for_a_place_in_flight_is_no_part_of_the_way(scripted, client_of, reports):
    client = client_of(scripted(ack_after=0.2).url, version=5, max_in_flight=1)
    sent = []
    send = client._connection.publish
    client._connection.publish = lambda message, *rest: sent.append(message) or send(message, *rest)
    calls = [gevent.spawn(client.publish, "t/1", b"x", 1, stamp=True) for _ in range(2)]
    gevent.joinall(calls, timeout=SOON, raise_error=True)
    stamps = [message.properties.UserProperty for message in sent]
    assert [len(stamp) for stamp in stamps] == [1, 1]
    first, second = (float(stamp[0][1].split(" ")[0]) for stamp in stamps)
    assert second - first >= 0.19


def test_what_the_broker_had_kept_tells_of_no_way(mosquitto, client_of, reports):
    speaker, listener = (client_of(mosquitto.url, version=5) for _ in range(2))
    speaker.publish("open/kept", b"x", 1, retain=True, stamp=True)
    listener.subscribe("open/kept")
    assert listener.receive().retain
    speaker.publish("open/kept", b"", 1, retain=True)
    gevent.sleep(0.05)
    assert delivered(reports) == []


@pytest.mark.parametrize("stamp", ["no time", "", "nonsense x", "17e400 x", "nan x"])
def test_a_stamp_that_is_none_harms_nobody(pair, reports, stamp):
    listener, speaker = pair
    speaker.publish("open/way/1", b"x", 1, properties={"UserProperty": [("protouser-sent", stamp)]})
    assert listener.receive().payload == b"x"
    gevent.sleep(0.02)
    assert delivered(reports) == []


def test_clocks_that_do_not_agree_are_a_failure_that_says_so(pair, reports):
    listener, speaker = pair
    future = {"UserProperty": [("protouser-sent", "9999999999.0 open/way/{id}")]}
    speaker.publish("open/way/1", b"x", 1, properties=future)
    listener.receive()
    (report,) = until(lambda: delivered(reports), "the failure")
    assert report.name == "deliver open/way/{id}"
    assert str(report.exception) == (
        "it arrived before it was sent: the clocks of the two machines do not agree"
    )


def test_mqtt_3_has_no_stamps(mosquitto, client_of):
    with pytest.raises(ConfigurationError, match=r"MQTT 3\.1\.1 does not .* version=5"):
        client_of(mosquitto.url).publish("open/way/1", b"x", stamp=True)


def test_every_subscriber_of_a_run_has_the_sample_and_hooks_see_it(mosquitto):
    listening, ready, got = [], [], []

    class Listener(MqttUser):
        host = mosquitto.url
        version = 5
        wait_time = constant(0.01)

        def on_start(self):
            listening.append(self)

        @on_message("open/all/way")
        def hear(self, message):
            got.append(message)

        @after_call("deliver *")
        def look(self, call):
            ready.append(call.response.payload)

        @task
        def idle(self):
            """It listens."""

    @task
    def speak(self):
        until(lambda: len(listening) == 2, "both listeners")
        for number in range(5):
            self.client.publish("open/all/way", b"%d" % number, stamp=True)
        until(lambda: len(ready) == len(got) == 10, "all messages")
        self.environment.runner.quit()

    body = {"host": mosquitto.url, "version": 5, "fixed_count": 1, "tasks": [speak]}
    Speaker = type("Speaker", (MqttUser,), {**body, "wait_time": constant(1)})
    results = load(Listener, Speaker, users=3, seconds=SOON)
    row = results["mqtt", "deliver open/all/way"]
    assert (row.successes, row.failures) == (10, 0)
    assert sorted(ready) == sorted([b"%d" % number for number in range(5)] * 2)
    assert 0 < row.percentile(0.5) < SOON
    assert results["mqtt", "publish open/all/way"].one_way == 5
