"""Situations in which Locust's own MQTT user gives wrong numbers, and what is measured here."""

from __future__ import annotations

from locust import constant, task

import pytest

from protouser import CallTimeout, ConnectionLost
from protouser.testing import load
from protouser_mqtt import MqttClient, MqttUser

from .conftest import SOON, until


def user_of(url, **body):
    return type("Sensor", (MqttUser,), {"host": url, "wait_time": constant(0.01), **body})


@task
def report(self):
    self.client.publish("t/1", b"21.5", 1)


def counting(body):
    """A task that does this, and the users who did it, once for each time."""
    done = []

    @task
    def report(self):
        try:
            body(self)
        finally:
            done.append(self)

    return report, done


def test_a_connack_after_300_ms_is_a_connect_of_300_ms(scripted):
    """There: 0 ms, whatever the broker does."""
    broker = scripted(connack_after=0.3)
    connected = []
    User = user_of(broker.url, report=report, on_start=connected.append)
    results = load(User, users=3, seconds=SOON, until=lambda: len(connected) == 3)
    times = [r.response_time for r in results.reports if r.name == "connect"]
    assert len(times) == 3
    assert all(300 <= time < results.seconds * 1000 for time in times), times
    row = results["mqtt", "connect"]
    assert row.series() == {"service": 3, "tcp": 3, "connack": 3}
    assert row.percentile(0.0, "connack") > 0.298, "the wait is in no other phase"


def test_a_message_before_the_connection_is_there_is_counted_once(scripted):
    """There: a failure at once, and a second one when the message is really delivered."""
    broker = scripted(connack_after=0.2)
    counted, done = counting(lambda self: self.client.publish("t/1", b"21.5", 1))

    class User(MqttUser):
        host = broker.url
        wait_time = constant(0.01)

        def connect(self):
            self.client = MqttClient(self.host, user=self, timeout=SOON)  # and does not open it

        report = counted

    results = load(
        User, users=2, seconds=SOON, stop_timeout=SOON, until=lambda: len(set(done)) == 2
    )
    publishes = results["mqtt", "publish t/1"]
    assert (publishes.failures, results["mqtt", "connect"].successes) == (0, 2)
    assert publishes.successes == broker.seen("publishes") > 0
    assert results.errors == []


def test_after_the_stop_nothing_is_connected_and_every_client_said_goodbye(scripted):
    """There: three connections stay open, and no DISCONNECT was sent."""
    broker = scripted()
    counted, done = counting(lambda self: self.client.publish("t/1", b"21.5", 1))
    User = user_of(broker.url, report=counted)
    results = load(User, users=3, seconds=SOON, until=lambda: len(set(done)) == 3)
    until(lambda: broker.seen("open") == 0, "the end of the connections")
    seen = broker.seen()
    assert (seen["accepted"], seen["disconnects"]) == (3, 3)
    assert results["mqtt", "publish t/1"].successes > 0


def test_a_broker_that_never_acknowledges_gives_a_failure_for_each_message(scripted):
    """There: no request, no failure."""
    broker = scripted(acks=False)
    counted, done = counting(lambda self: self.client.publish("t/1", b"21.5", 1))
    User = user_of(broker.url, report=counted, timeout=0.1, connect_timeout=SOON)
    results = load(User, users=3, seconds=SOON, until=lambda: len(done) >= 9)
    row = results["mqtt", "publish t/1"]
    assert row.successes == 0
    assert row.failures >= 9
    until(lambda: broker.seen("publishes") == row.failures + row.cancelled, "each message once")
    failed = [r for r in results.reports if r.name == "publish t/1"]
    assert {str(r.exception) for r in failed} == {"no PUBACK within 0.1 s"}
    assert all(100 <= r.response_time < results.seconds * 1000 for r in failed)


@pytest.mark.parametrize("qos", [1, 2])
def test_a_broker_that_drops_the_connection_at_every_20th_message(scripted, qos):
    """There: one operation of 2059 ms, 18 failures of 0 ms, and reconnects that are no time."""
    broker = scripted(drops_every=20)

    counted, done = counting(lambda self: self.client.publish("t/1", b"21.5", qos))
    User = user_of(broker.url, report=counted, wait_time=constant(0), timeout=SOON)
    results = load(User, users=1, seconds=SOON, stop_timeout=SOON, until=lambda: len(done) > 90)
    row, connects, seen = results["mqtt", "publish t/1"], results["mqtt", "connect"], broker.seen()
    assert row.successes + row.failures == seen["publishes"], "nothing is sent or counted twice"
    assert row.failures == seen["publishes"] // 20 > 2
    assert connects.successes == seen["accepted"] == connects.counter("reconnects") + 1
    assert connects.failures == 0
    events = [r for r in results.reports if r.name == "publish t/1"]
    assert all(0 < r.response_time < SOON * 1000 for r in events)
    errors = [r.exception for r in events if r.exception]
    assert {type(error) for error in errors} == {ConnectionLost}
    assert all(r.response_time > 0 for r in results.reports if r.name == "connect")


def test_hanging_messages_delay_nobody_else(scripted):
    """Twelve users wait for acknowledgements that never come; a thirteenth gets all of his."""
    broker = scripted()
    hanging, times = [], []

    class Hanging(MqttUser):
        host = broker.url
        fixed_count = 12

        @task
        def hang(self):
            hanging.append(self)
            self.client.publish("sleep/60", b"x", 1, timeout=60)

    class Quick(MqttUser):
        host = broker.url
        fixed_count = 1
        wait_time = constant(0.01)

        @task
        def report(self):
            with self.client.publish("t/1", b"x", 1, catch_response=True) as call:
                if len(hanging) == 12:
                    times.append(call.response)

    results = load(Hanging, Quick, users=13, seconds=SOON, until=lambda: len(times) > 20)
    assert results["mqtt", "publish sleep/60"].cancelled == 12
    quick = results["mqtt", "publish t/1"]
    assert quick.successes >= len(times) > 20
    assert quick.failures == 0


def test_the_clients_own_timeout_is_for_each_call(scripted):
    broker = scripted()
    counted, done = counting(lambda self: self.client.publish("sleep/60", b"x", 1))
    User = user_of(broker.url, timeout=0.1, connect_timeout=SOON, report=counted)
    results = load(User, users=1, seconds=SOON, until=lambda: done)
    assert results["mqtt", "publish sleep/60"].failures > 0
    failures = {type(r.exception) for r in results.reports if r.exception}
    assert failures == {CallTimeout}
