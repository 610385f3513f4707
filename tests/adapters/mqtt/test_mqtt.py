"""The MQTT client against real brokers: mosquitto from Debian, iotcore from PyPI."""

from __future__ import annotations

from locust import constant, task

import subprocess
import sys
from collections import Counter

import gevent
import pytest

from protouser import CallTimeout, ConnectFailed, attach, now
from protouser.testing import load
from protouser_mqtt import MqttRefused, MqttUser, Will

from .conftest import SOON, failures, free_port, listens, rows, until

VERSIONS = ("3.1.1", 5)

IOTCORE = """
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
"""
IOTCORE_LISTENER = """
[v{level}.1]
name = "v{level}"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 0
[v{level}.1.connections]
connection_timeout_ms = 60000
max_payload_size = 20480
max_inflight_count = 100
dynamic_filters = true
"""


@pytest.fixture(scope="module")
def iotcore(tmp_path_factory):
    """The URLs of a broker with one listener for each version, by version."""
    pytest.importorskip("iotcore")
    ports = {"3.1.1": free_port(), 5: free_port()}
    text = IOTCORE
    for version, level in (("3.1.1", 4), (5, 5)):
        text += IOTCORE_LISTENER.format(level=level, port=ports[version])
    file = tmp_path_factory.mktemp("iotcore") / "broker.toml"
    file.write_text(text)
    program = f"from iotcore import IotCoreBroker as B; B(config_path={str(file)!r}).run_forever()"
    program = program.replace("from iotcore import", "from iotcore.iotcore import")
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for port in ports.values():
        until(lambda port=port: listens(port), "iotcore")
    yield {version: f"mqtt://127.0.0.1:{port}" for version, port in ports.items()}
    process.kill()
    process.wait()


@pytest.fixture(params=["mosquitto", "mosquitto tls", "iotcore"])
def place(request, mosquitto, iotcore):
    """A URL and the options for it, for a version."""
    if request.param == "iotcore":
        return lambda version: (iotcore[version], {"version": version})
    if request.param == "mosquitto":
        return lambda version: (mosquitto.url, {"version": version})
    tls = {"ca_file": mosquitto.ca_file}
    return lambda version: (mosquitto.tls_url, {"version": version, **tls})


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_of_every_quality_arrive_once_and_are_measured(place, version, client_of, reports):
    url, options = place(version)
    client = client_of(url, **options)
    assert client.subscribe("open/a/+", 2) == 2
    for qos in (0, 1, 2):
        word = client.publish("open/a/{n}", f"größer {qos}", qos, fields={"n": qos})
        assert word == (None if qos == 0 else "Success")
        message = client.receive()
        got = (message.topic, message.payload.decode(), message.retain)
        assert got == (f"open/a/{qos}", f"größer {qos}", False)
        assert message.qos in (qos, 2)  # iotcore delivers with the QoS of the subscription
    assert failures(reports) == []
    names = [report.name for report in reports]
    publishes = ["publish open/a/{n}", "receive"] * 3
    assert names == ["connect", "subscribe open/a/+", *publishes]
    times = [report.response_time for report in reports if report.name == "publish open/a/{n}"]
    assert times[0] is None
    assert all(0 < time < SOON * 1000 for time in times[1:])
    with pytest.raises(CallTimeout, match=r"^no message within 0\.05 s$"):
        client.receive(timeout=0.05)


@pytest.mark.parametrize("version", VERSIONS)
def test_large_messages_come_through_in_both_directions(mosquitto, version, client_of):
    for url, options in ((mosquitto.url, {}), (mosquitto.tls_url, {"ca_file": mosquitto.ca_file})):
        client = client_of(url, version=version, **options)
        client.subscribe("open/large", 1)
        payload = bytes(range(256)) * 16_384
        sending = [gevent.spawn(client.publish, "open/large", payload, qos) for qos in (1, 2, 0)]
        gevent.joinall(sending, timeout=SOON, raise_error=True)
        assert [client.receive().payload == payload for _ in range(3)] == [True] * 3


def test_connecting_is_a_row_with_its_phases(mosquitto, client_of, environment):
    client_of(mosquitto.tls_url, ca_file=mosquitto.ca_file)
    figures = attach(environment).own_figures()
    series = {key[2] for key in figures.timed if key[1] == "connect"}
    assert series == {"service", "tcp", "tls", "connack"}


def test_what_a_broker_of_mqtt_5_says_to_a_message_without_subscribers(mosquitto, client_of):
    client = client_of(mosquitto.url, version=5)
    assert client.publish("open/nobody", b"x", 1) == "No matching subscribers"


def test_credentials_from_the_url_and_from_options(mosquitto, client_of):
    secret = mosquitto.secret_url
    client_of(secret.replace("://", "://ann:secret@")).publish("open/a", b"x", 1)
    client_of(secret, username="ann", password="secret").publish("open/a", b"x", 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_credentials_that_are_refused(mosquitto, version, client_of, reports):
    url = mosquitto.secret_url.replace("://", "://ann:hunter2@")
    with pytest.raises(ConnectFailed):
        client_of(url, version=version)
    ((name, reason),) = failures(reports)
    assert name == "connect"
    shown = mosquitto.secret_url.replace("://", "://ann:***@")
    assert reason.startswith(f"{shown} refused the connection: ")
    # mosquitto 2 says the second in MQTT 5 and the first in 3.1.1, or the other way round
    assert "check username= and password=" in reason
    assert "hunter2" not in reason


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_that_mqtt_5_refuses_is_a_failure(mosquitto, qos, client_of, reports):
    client = client_of(mosquitto.secret_url, version=5, username="ann", password="secret")
    with pytest.raises(MqttRefused) as caught:
        client.publish("forbidden/a", b"x", qos)
    assert caught.value.code == 0x87
    name, text = failures(reports)[0]
    assert (name, text) == (
        "publish forbidden/a",
        "the broker refused the message: not authorized",
    )
    assert client.publish("open/a", b"x", qos) in ("Success", "No matching subscribers")


def test_unsubscribing_ends_the_messages(mosquitto, client_of, reports):
    client = client_of(mosquitto.url)
    client.subscribe("open/u")
    client.unsubscribe("open/u")
    client.publish("open/u", b"x", 1)
    with pytest.raises(CallTimeout):
        client.receive(timeout=0.05)
    assert "unsubscribe open/u" in [name for name, _ in rows(reports)]


def test_receive_by_filter_leaves_the_others_in_their_order(mosquitto, client_of):
    client = client_of(mosquitto.url)
    client.subscribe("open/r/#")
    for topic in ("open/r/a/1", "open/r/b/1", "open/r/a/2"):
        client.publish(topic, topic, 1)
    assert client.receive("open/r/b/+").topic == "open/r/b/1"
    assert [client.receive().topic for _ in range(2)] == ["open/r/a/1", "open/r/a/2"]


def test_a_retained_message_and_its_properties(mosquitto, client_of):
    client = client_of(mosquitto.url, version=5)
    properties = {"ContentType": "text/plain", "UserProperty": [("unit", "C")]}
    client.publish("open/kept", b"21.5", 1, retain=True, properties=properties)
    client.subscribe("open/kept")
    message = client.receive()
    assert (message.payload, message.retain) == (b"21.5", True)
    assert message.properties["ContentType"] == "text/plain"
    assert message.properties["UserProperty"] == [("unit", "C")]
    client.publish("open/kept", None, 1, retain=True)


def test_a_will_is_published_when_the_client_vanishes_and_not_after_a_goodbye(mosquitto, client_of):
    watcher = client_of(mosquitto.url)
    watcher.subscribe("open/wills/+")
    client_of(mosquitto.url, will=Will("open/wills/a", "gone", qos=1)).close()
    vanishing = client_of(mosquitto.url, will=("open/wills/b", b"gone"))
    vanishing._connection._socket.close()
    message = watcher.receive()
    assert (message.topic, message.payload) == ("open/wills/b", b"gone")


def test_a_kept_session_gets_what_came_meanwhile(mosquitto, client_of):
    options = {"client_id": "kept", "clean_session": False}
    first = client_of(mosquitto.url, **options)
    first.subscribe("open/session", 1)
    first.close()
    client_of(mosquitto.url).publish("open/session", b"meanwhile", 1)
    assert client_of(mosquitto.url, **options).receive().payload == b"meanwhile"
    client_of(mosquitto.url, client_id="kept")


def test_a_session_taken_over_by_another_client_is_a_lost_connection(mosquitto, client_of):
    client = client_of(mosquitto.url, client_id="twin")
    waiting = gevent.spawn(client.receive)
    gevent.sleep(0)
    client_of(mosquitto.url, client_id="twin")
    waiting.join(SOON)
    assert str(waiting.exception) == f"{mosquitto.url} closed the connection"


def test_many_greenlets_publish_on_one_connection(mosquitto, client_of, reports):
    client = client_of(mosquitto.url, version=5, max_in_flight=7)

    def publish(number):
        for turn in range(20):
            client.publish("open/many", f"{number} {turn}", 1 + turn % 2)

    gevent.joinall([gevent.spawn(publish, n) for n in range(25)], raise_error=True)
    published = [report for report in reports if report.name == "publish open/many"]
    assert (len(published), failures(reports)) == (500, [])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_that_is_restarted_in_the_middle_of_a_test(own_mosquitto, version):
    """Every publish is told: acknowledged, or failed; afterwards all is as before."""

    rounds, refused = Counter(), set()

    class Sensor(MqttUser):
        host = own_mosquitto.url
        wait_time = constant(0.01)
        timeout = SOON
        connect_backoff = 0.1

        def on_start(self):
            self.client.subscribe(f"open/{id(self)}", 1, name="subscribe")

        @task
        def report(self):
            try:
                self.client.publish("open/{id}", b"x", 1, fields={"id": id(self)})
                self.client.receive()
            except ConnectFailed:
                refused.add(self)
                raise
            rounds[self] += 1

    def all_users_did(number):
        return len(rounds) == 5 and min(rounds.values()) >= number

    def work():
        until(lambda: all_users_did(3), "the first rounds")
        own_mosquitto.stop()
        until(lambda: len(refused) == 5, "an attempt of each that is refused")
        own_mosquitto.start()
        for _ in range(2):  # all are back after the first time
            rounds.clear()
            until(lambda: all_users_did(5), "the next rounds")
        return True

    Sensor.version = version
    working = gevent.spawn(work)
    results = load(Sensor, users=5, seconds=4 * SOON, stop_timeout=SOON, until=working.ready)
    assert working.get()
    assert results.errors == []
    connects = results["mqtt", "connect"]
    assert connects.successes == 10
    assert connects.failures > 0
    assert connects.counter("reconnects") >= 5
    assert results["mqtt", "subscribe"].successes == 10
    late = [r for r in results.reports if r.name == "publish open/{id}"][-20:]
    assert [report.exception for report in late] == [None] * 20
    until(lambda: own_mosquitto.connections() == 0, "the end of the connections")


def test_nothing_stays_connected_after_the_stop(own_mosquitto):
    connected = []

    class Idle(MqttUser):
        host = own_mosquitto.url

        @task
        def wait(self):
            connected.append(self)
            gevent.sleep(2 * SOON)

    results = load(Idle, users=10, seconds=SOON, until=lambda: len(connected) == 10)
    assert results["mqtt", "connect"].successes == 10
    until(lambda: own_mosquitto.connections() == 0, "the end of the connections")
    file = own_mosquitto.folder / "log"
    until(lambda: file.read_text().count("disconnected.") == 10, "the goodbyes")
    log = file.read_text()
    assert "closed its connection" not in log.replace("<unknown> closed", "")


@pytest.mark.parametrize(
    ("asked", "listener", "remedy"),
    [
        (5, "3.1.1", "does it speak MQTT 5? if not, leave out version=5"),
        ("3.1.1", 5, "does it speak MQTT 3.1.1? if not, try version=5"),
    ],
)
def test_a_broker_that_hangs_up_on_the_other_version(iotcore, asked, listener, remedy, client_of):
    with pytest.raises(ConnectFailed) as caught:
        client_of(iotcore[listener], version=asked)
    assert (
        str(caught.value)
        == f"{iotcore[listener]} closed the connection without a CONNACK; {remedy}"
    )


def test_closing_is_instant_and_the_next_call_connects_anew(mosquitto, client_of, reports):
    client = client_of(mosquitto.url, close_timeout=3 * SOON)
    began = now()
    client.close()
    client.close()
    assert now() - began < SOON, "it waits for nothing"
    client.publish("open/a", b"x", 1)
    assert [name for name, _ in rows(reports)] == ["connect", "connect", "publish open/a"]
