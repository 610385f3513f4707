"""The MQTT client and brokers in trouble: one failure that says where and why, no leftovers."""

from __future__ import annotations

from locust import task
from locust.exception import StopUser

import _socket
import contextlib
import gc
import os
import socket

import gevent
import pytest
from gevent import get_hub
from greenlet import greenlet

from protouser import (
    CallTimeout,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    MalformedMessage,
    ProtouserError,
    attach,
    before_call,
    now,
    open_client,
)
from protouser._attach import check_hosts_of
from protouser.testing import load
from protouser_mqtt import MqttClient, MqttRefused, MqttUser, Will
from protouser_mqtt._connection import Connection

from .conftest import SOON, failures, rows, until

SHORT = 0.2


def greenlets():
    gc.collect()
    return sum(isinstance(found, greenlet) and not found.dead for found in gc.get_objects())


def holdings():
    gevent.sleep(0)
    return len(os.listdir("/proc/self/fd")), get_hub().loop.activecnt, greenlets()


@pytest.fixture
def leaves_nothing():
    """Calls a function that leaves no descriptor, watcher or greenlet."""

    def check(function):
        before = holdings()
        function()
        until(
            lambda: all(a <= b for a, b in zip(holdings(), before, strict=True)), "the end of all"
        )

    return check


# --- connecting


def test_a_refused_port(client_of, reports):
    bound = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.bind(("127.0.0.1", 0))
    url = f"mqtt://127.0.0.1:{bound.getsockname()[1]}"
    with pytest.raises(ConnectFailed):
        client_of(url)
    bound.close()
    expected = f"cannot connect to {url}: connection refused; is the server running there?"
    assert failures(reports) == [("connect", expected)]


def test_a_name_that_does_not_resolve(client_of):
    with pytest.raises(ConnectFailed, match=r"cannot resolve host 'nosuch\.invalid'"):
        client_of("mqtt://nosuch.invalid")


def test_a_broker_that_never_answers_the_connect(scripted, client_of, reports):
    broker = scripted(connack_after=None)
    began = now()
    with pytest.raises(ConnectFailed):
        client_of(broker.url, connect_timeout=1)  # time to connect in
    assert 1 <= now() - began < SOON
    text = f"no CONNACK from {broker.url} within 1 s; does it speak MQTT there?"
    assert failures(reports) == [("connect", text)]
    until(lambda: broker.seen("open") == 0, "the end of the connection")


@pytest.mark.parametrize(
    ("version", "code", "reason"),
    [
        ("3.1.1", 2, "client identifier not valid; choose another client_id="),
        ("3.1.1", 3, "server unavailable"),
        ("3.1.1", 4, "bad user name or password; check username= and password=, or those"),
        ("3.1.1", 5, "not authorized; may this user connect? check username= and password="),
        (5, 0x86, "bad user name or password; check username= and password=, or those in the URL"),
        (5, 0x87, "not authorized; may this user connect? check username= and password="),
        (5, 0x8A, "banned"),
        (5, 0x97, "quota exceeded"),
    ],
)
def test_a_connection_that_is_refused(scripted, version, code, reason, client_of, reports):
    broker = scripted(connack_code=code)
    with pytest.raises(ConnectFailed):
        client_of(broker.url, version=version)
    ((name, text),) = failures(reports)
    assert name == "connect"
    assert text.startswith(f"{broker.url} refused the connection: {reason}")


def test_a_broker_of_3_1_1_that_is_asked_for_5(scripted, client_of):
    broker = scripted(speaks=[4])
    with pytest.raises(ConnectFailed) as caught:
        client_of(broker.url, version=5)
    said = "was asked for MQTT 5: the broker speaks 3.1.1 only; leave out version=5"
    assert str(caught.value) == f"{broker.url} {said}"
    client_of(broker.url)


def test_a_broker_of_5_that_is_asked_for_3_1_1(scripted, client_of):
    broker = scripted(speaks=[5])
    with pytest.raises(ConnectFailed, match=r"asked for MQTT 3\.1\.1: .*; try version=5$"):
        client_of(broker.url)
    assert broker.seen("accepted") == 1, "the codec does not try an older version on its own"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"closes": True}, "closed the connection without a CONNACK; does it speak MQTT 3.1.1?"),
        ({"answers_with": b"HTTP/1.1 400 Bad Request\r\n\r\n".hex()}, "what is no CONNACK; does"),
        ({"answers_with": "15030100020246"}, "answers in TLS; write mqtts:// for mqtt://"),
        ({"answers_with": "2003000000"}, "sent what is no MQTT"),
    ],
)
def test_what_is_no_broker(scripted, script, reason, client_of, reports):
    with pytest.raises(ConnectFailed):
        client_of(scripted(**script).url)
    ((name, text),) = failures(reports)
    assert name == "connect"
    assert reason in text


def test_certificates_that_are_not_trusted_or_not_there(mosquitto, client_of):
    with pytest.raises(ConnectFailed, match=r"cannot trust .* pass ca_file=\.\.\. or verify=False"):
        client_of(mosquitto.tls_url)
    with pytest.raises(ConfigurationError, match=r"ca_file '/nosuch' cannot be used"):
        client_of(mosquitto.tls_url, ca_file="/nosuch")
    client_of(mosquitto.tls_url, verify=False).publish("open/a", b"x", 1)


def test_a_plain_broker_at_an_mqtts_url_and_the_other_way_round(mosquitto, client_of):
    plain = mosquitto.url.replace("mqtt:", "mqtts:")
    with pytest.raises(ConnectFailed, match=f"no TLS handshake with {plain}"):
        client_of(plain, connect_timeout=1)
    encrypted = mosquitto.tls_url.replace("mqtts:", "mqtt:")
    with pytest.raises(ConnectFailed, match=r"in TLS; write mqtts://|without a CONNACK"):
        client_of(encrypted, connect_timeout=1)


# --- acknowledgements


@pytest.mark.parametrize("qos", [1, 2])
def test_a_broker_that_never_acknowledges(scripted, qos, client_of, reports):
    broker = scripted(acks=False)
    client = client_of(broker.url)
    awaited = {1: "PUBACK", 2: "PUBCOMP"}[qos]
    for _ in range(3):
        with pytest.raises(CallTimeout):
            client.publish("t/1", b"x", qos, timeout=SHORT)
    assert failures(reports) == [("publish t/1", f"no {awaited} within 0.2 s")] * 3
    assert broker.seen("publishes") == 3, "nothing is sent twice"


def test_a_late_acknowledgement_is_not_that_of_the_next_message(scripted, client_of):
    client = client_of(scripted().url, version=5)
    with pytest.raises(CallTimeout):
        client.publish("sleep/1", b"x", 1, timeout=0.1)
    assert client.publish("t/1", b"x", 1) == "Success"
    # this one's acknowledgement comes after the late one
    assert client.publish("sleep/1", b"x", 1) == "No matching subscribers"
    assert client.publish("t/1", b"x", 1) == "Success"


def test_messages_that_are_ignored_are_the_only_failures(scripted, client_of, reports):
    broker = scripted(ignores_every=20)
    client = client_of(broker.url)
    for number in range(1, 61):
        if number % 20:
            client.publish("t/1", b"x", 1)
        else:
            with pytest.raises(CallTimeout):
                client.publish("t/1", b"x", 1, timeout=SHORT)
    assert len(failures(reports)) == 3
    assert broker.seen("accepted") == 1


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_that_is_refused(scripted, qos, client_of, reports):
    client = client_of(scripted().url, version=5)
    with pytest.raises(MqttRefused):
        client.publish("refused/1", b"x", qos)
    assert failures(reports) == [
        ("publish refused/1", "the broker refused the message: not authorized")
    ]
    assert client.publish("t/1", b"x", qos) == "Success"


@pytest.mark.parametrize("version", ["3.1.1", 5])
def test_a_subscription_that_is_refused(scripted, version, client_of, reports):
    broker = scripted()
    client = client_of(broker.url, version=version)
    with pytest.raises(MqttRefused) as caught:
        client.subscribe("refused/#", 1)
    assert caught.value.code == (0x87 if version == 5 else 0x80)
    ((name, text),) = failures(reports)
    assert name == "subscribe refused/#"
    assert text.startswith("the broker refused the subscription: ")
    client.reopen()
    assert broker.seen("subscribes") == ["refused/#"], "it is not subscribed to again"


def test_a_subscription_that_is_never_acknowledged(scripted, client_of, reports):
    client = client_of(scripted(suback=False).url)
    with pytest.raises(CallTimeout):
        client.subscribe("a/#", timeout=SHORT)
    assert failures(reports) == [("subscribe a/#", "no SUBACK within 0.2 s")]


def test_the_brokers_receive_maximum_is_never_exceeded(scripted, client_of, environment):
    broker = scripted(receive_maximum=2, ack_after=0.05)
    client = client_of(broker.url, version=5)
    spent = {}

    def send(number):
        began = now()
        client.publish("t/1", b"x", 1 + number % 2, name=f"{number}")
        spent[f"{number}"] = now() - began

    sending = [gevent.spawn(send, number) for number in range(8)]
    gevent.joinall(sending, timeout=SOON, raise_error=True)
    seen = broker.seen()
    assert (seen["most_in_flight"], seen["publishes"], seen["accepted"]) == (2, 8, 1)
    timed = attach(environment).own_figures().timed
    queued = {
        key[1]: histogram.percentile(1) / 1e9
        for key, histogram in timed.items()
        if key[2] == "queue"
    }
    assert len(queued) == 6
    assert max(queued.values()) > 2 * 0.045
    for name, seconds in queued.items():
        took = timed["mqtt", name, "service", "success"].percentile(1) / 1e9
        assert seconds + took < spent[name] * 1.01, "waiting for a place is not the broker's time"


def test_our_own_limit_in_flight(scripted, client_of):
    broker = scripted(ack_after=0.02)
    client = client_of(broker.url, max_in_flight=3)
    sending = [gevent.spawn(client.publish, "t/1", b"x", 1) for _ in range(9)]
    gevent.joinall(sending, timeout=SOON, raise_error=True)
    assert broker.seen("most_in_flight") == 3


def test_a_message_that_finds_no_place_in_time(scripted, client_of, reports):
    broker = scripted()
    client = client_of(broker.url, max_in_flight=1)
    first = gevent.spawn(client.publish, "sleep/2", b"x", 1)
    until(lambda: broker.seen("publishes") == 1, "the first message")
    with pytest.raises(CallTimeout, match=r"^not sent within 0\.2 s: as many messages as may be"):
        client.publish("t/2", b"x", 1, timeout=SHORT)
    first.get(timeout=SOON)
    assert broker.seen("publishes") == 1
    assert client.publish("t/3", b"x", 1) == "Success"


def test_when_all_places_wait_in_vain_a_new_connection_is_made(scripted, client_of, reports):
    broker = scripted(acks=False)
    client = client_of(broker.url, max_in_flight=2)
    for _ in range(4):
        with pytest.raises(CallTimeout):
            client.publish("t/1", b"x", 1, timeout=0.5)  # time to connect anew in
    assert [name for name, _ in rows(reports)].count("connect") == 2
    assert failures(reports) == [("publish t/1", "no PUBACK within 0.5 s")] * 4


def test_a_message_that_was_killed_or_timed_out_by_the_user_leaves_the_connection_well(
    scripted, client_of, reports
):
    broker = scripted()
    client = client_of(broker.url)
    killed = gevent.spawn(client.publish, "sleep/2", b"x", 1)
    until(lambda: broker.seen("publishes") == 1, "the message")
    killed.kill()
    with gevent.Timeout(0.05, False):
        client.publish("sleep/2", b"x", 1)
    assert client.publish("t/1", b"x", 1) == "Success"
    assert failures(reports) == [("publish sleep/2", "timed out after 0.05 s")]
    assert broker.seen("accepted") == 1


# --- losing the connection


def test_the_end_while_waiting_is_told_to_everybody_who_waits(scripted, client_of, reports):
    broker = scripted()
    client = client_of(broker.url)
    waiting = [
        gevent.spawn(client.publish, "sleep/60", b"x", 1),
        gevent.spawn(client.publish, "sleep/60", b"x", 2),
        gevent.spawn(client.subscribe, "sleep/60"),
        gevent.spawn(client.receive),
    ]
    gevent.sleep(0.05)
    client.publish("close")
    gevent.joinall(waiting, timeout=SOON)
    assert [type(greenlet.exception) for greenlet in waiting] == [ConnectionLost] * 4
    assert {text for _, text in failures(reports)} == {f"{broker.url} closed the connection"}
    assert client.publish("t/1", b"x", 1) == "Success"


def test_who_waits_for_a_place_is_told_as_well(scripted, client_of):
    client = client_of(scripted().url, max_in_flight=1)
    waiting = [gevent.spawn(client.publish, "sleep/60", b"x", 1) for _ in range(3)]
    gevent.sleep(0.05)
    client.publish("close")
    gevent.joinall(waiting, timeout=SOON)
    assert [type(greenlet.exception) for greenlet in waiting] == [ConnectionLost] * 3
    assert client.publish("t/1", b"x", 1) == "Success"


def test_a_goodbye_of_the_broker_says_why(scripted, client_of, reports):
    client = client_of(scripted(says_goodbye_at=2).url, version=5)
    client.publish("t/1", b"x", 1)
    with pytest.raises(ConnectionLost):
        client.publish("t/1", b"x", 1)
    ((_, text),) = failures(reports)
    assert text == f"{client.url} ended the connection: server shutting down"


def test_publishing_while_offline_connects_first_and_counts_once(scripted, client_of, reports):
    broker = scripted()
    client = client_of(broker.url)
    client.publish("close")
    until(lambda: client.offline, "the end")
    for qos in (0, 1):
        client.publish("t/1", b"again", qos)
    until(lambda: broker.seen("publishes") == 3, "the messages")
    assert rows(reports) == [
        ("connect", None),
        ("publish close", None),
        ("connect", None),
        ("publish t/1", None),
        ("publish t/1", None),
    ]


def test_subscriptions_are_made_again(scripted, client_of, reports):
    broker = scripted()
    client = client_of(broker.url)
    client.subscribe("a/#", 1)
    client.subscribe("b/#", 1)
    client.unsubscribe("b/#")
    client.publish("close")
    until(lambda: client.offline, "the end")
    client.publish("t/1", b"x", 1)
    assert broker.seen("subscribes") == ["a/#", "b/#", "a/#"]
    names = [name for name, _ in rows(reports)]
    assert names[-3:] == ["connect", "subscribe a/#", "publish t/1"]


def test_a_subscription_is_made_again_under_its_name(scripted, client_of, reports):
    client = client_of(scripted().url)
    client.subscribe("a/4711", 1, name="subscribe a/{id}")
    client.publish("close")
    until(lambda: client.offline, "the end")
    client.publish("t/1", b"x", 1)
    names = [name for name, _ in rows(reports)]
    assert names[-3:] == ["connect", "subscribe a/{id}", "publish t/1"]


def test_a_connection_without_all_its_subscriptions_is_not_kept(scripted, client_of):
    broker = scripted()
    client = client_of(broker.url)
    client.subscribe("sleep/1")
    client.publish("close")
    until(lambda: client.offline, "the end")
    coming_back = gevent.spawn(client.publish, "t/1", b"x", 1)
    until(lambda: len(broker.seen("subscribes")) == 2, "the second subscription")
    coming_back.kill()
    assert client.publish("t/1", b"x", 1) == "Success"
    assert broker.seen("subscribes") == ["sleep/1"] * 3
    assert broker.seen("accepted") == 3


def test_who_looks_for_another_message_than_the_kept_ones_comes_back(scripted, client_of, reports):
    broker = scripted()
    client = client_of(broker.url)
    client.publish("raw", bytes.fromhex("3005 0001 61 4142"))
    until(lambda: len(client.inbox) == 1, "the message")
    client.publish("close")
    until(lambda: client.offline, "the end")
    with pytest.raises(ConnectionLost, match="closed the connection"):
        client.receive("b")
    for _ in range(2):
        with pytest.raises(CallTimeout, match="no message within"):
            client.receive("b", timeout=0.5)  # time to connect anew in
    assert client.receive("a").payload == b"AB"
    assert broker.seen("accepted") == 2


def test_a_connection_that_ends_while_a_hook_takes_its_time_is_lost(scripted):
    broker = scripted()

    class Slow(MqttUser):
        host = broker.url

        @before_call("publish late")
        def wait(self, call):
            self.client.publish("close")
            until(lambda: self.client.offline, "the end")

        @task
        def late(self):
            try:
                self.client.publish("late", b"x", 1)
            finally:
                raise StopUser

    results = load(Slow, users=1, seconds=SOON)
    reported = [str(r.exception) for r in results.reports if r.name == "publish late"]
    assert reported == [f"the connection to {broker.url} ended before the call was made"]


def test_closing_while_another_greenlet_connects_leaves_no_connection(scripted, client_of):
    broker = scripted(connack_after=1)
    client = client_of(broker.url)
    client.publish("close")
    until(lambda: client.offline, "the end")
    coming_back = gevent.spawn(client.publish, "t/1", b"x", 1)
    until(lambda: broker.seen("accepted") == 2, "the second connection")
    client.close()
    coming_back.join(SOON)
    assert str(coming_back.exception) == f"the connection to {client.url} was closed here"
    assert client.offline
    until(lambda: broker.seen("open") == 0, "the end of the connections")


def test_unread_messages_outlive_their_connection(scripted, client_of):
    client = client_of(scripted().url)
    client.publish("raw", bytes.fromhex("3005 0001 61 4142"))
    until(lambda: len(client.inbox) == 1, "the message")
    client.publish("close")
    until(lambda: client.offline, "the end")
    client.publish("t/1", b"x", 1)
    assert client.receive().payload == b"AB"


def test_attempts_to_come_back_are_further_and_further_apart(scripted, client_of, reports):
    with_end = scripted()
    client = client_of(with_end.url, connect_backoff=0.1)
    with_end.process.kill()
    until(lambda: client.offline, "the end")
    began = now()
    for _ in range(4):
        with pytest.raises(ConnectFailed):
            client.publish("t/1", b"x", 1)
    # at least half of 0.1, 0.2 and 0.4 s lie between the four attempts
    assert 0.35 <= now() - began < SOON
    assert [name for name, _ in failures(reports)] == ["connect"] * 4


def test_a_broker_that_drops_clients_at_once_is_not_asked_as_fast_as_the_machine_can(
    scripted, client_of, reports
):
    client = client_of(scripted(closes_after_connack=True).url, connect_backoff=0.1)
    began = now()
    for _ in range(5):
        until(lambda: client.offline, "the end")
        with contextlib.suppress(ProtouserError):
            client.publish("t/1", b"x", 1)
    # the first is made at once, at least half of 0.1, 0.2, 0.4 and 0.8 s lie before the others
    assert 0.75 <= now() - began < SOON
    assert [row for row in rows(reports) if row[0] == "connect"] == [("connect", None)] * 6


def test_a_call_waits_for_the_next_attempt_within_its_own_time(scripted, client_of, reports):
    broker = scripted()
    client = client_of(broker.url, connect_backoff=20.0)
    broker.process.kill()
    until(lambda: client.offline, "the end")
    with pytest.raises(ConnectFailed):
        client.publish("t/1", b"x", 1)
    began = now()
    with pytest.raises(CallTimeout):
        client.publish("t/1", b"x", 1, timeout=SHORT)
    assert SHORT <= now() - began < SOON
    assert failures(reports)[1] == ("publish t/1", f"{broker.url} was not connected within 0.2 s")


def test_one_of_many_connects_anew_and_the_others_wait(scripted, client_of, reports):
    broker = scripted(connack_after=0.1)
    client = client_of(broker.url)
    client.publish("close")
    until(lambda: client.offline, "the end")
    sending = [gevent.spawn(client.publish, "t/1", b"x", 1) for _ in range(10)]
    gevent.joinall(sending, timeout=SOON, raise_error=True)
    assert broker.seen("accepted") == 2


@pytest.mark.parametrize(
    "sent",
    ["f000", "30ffffffff7f", "9003000080", "3003ffff61", "300400024142ff", "4001"],
    ids=["reserved", "length", "unasked", "topic", "bytes", "short"],
)
def test_nonsense_from_the_broker_ends_the_connection_or_is_ignored(scripted, sent, client_of):
    client = client_of(scripted().url)
    client.publish("raw", bytes.fromhex(sent))
    try:
        client.publish("sleep/0.1", b"x", 1, timeout=1)
    except (ConnectionLost, MalformedMessage, CallTimeout):
        pass
    else:
        return
    client.reopen()
    assert client.publish("t/1", b"x", 1) == "Success"


@pytest.mark.parametrize(
    ("qos", "sent"),
    [(2, "70020001"), (2, "40020001"), (1, "50020001"), (1, "70020001")],
    ids=["pubcomp before pubrec", "puback of 2", "pubrec of 1", "pubcomp of 1"],
)
def test_an_acknowledgement_out_of_turn_is_no_success(scripted, qos, sent, client_of, reports):
    client = client_of(scripted(acks=False).url)
    publishing = gevent.spawn(client.publish, "t/1", b"x", qos)
    gevent.sleep(0)
    client.publish("raw", bytes.fromhex(sent))
    publishing.join(SOON)
    assert isinstance(publishing.exception, MalformedMessage)
    text = "a message was acknowledged in the way of another QoS, or out of turn"
    assert failures(reports) == [("publish t/1", text)]


def test_a_suback_without_a_word_is_malformed(scripted, client_of, reports):
    client = client_of(scripted(suback=False).url)
    subscribing = gevent.spawn(client.subscribe, "a")
    gevent.sleep(0)
    client.publish("raw", bytes.fromhex("90020001"))
    subscribing.join(SOON)
    text = f"{client.url} sent what is no MQTT, or not in order"
    assert failures(reports) == [("subscribe a", text)]


def test_a_kept_session_does_not_begin_with_the_identifiers_of_the_last_one(monkeypatch):
    monkeypatch.setattr("random.randrange", lambda end: end - 1)
    kept = MqttClient("mqtt://localhost", client_id="me", clean_session=False)
    fresh = MqttClient("mqtt://localhost", client_id="me")
    first = [
        Connection(client.url, client.settings, print, print)._acks.next_mid()
        for client in (kept, fresh)
    ]
    assert first == [65_535, 1]


def test_a_topic_that_is_no_utf_8_is_malformed(scripted, client_of, reports):
    client = client_of(scripted().url)
    waiting = gevent.spawn(client.receive)
    gevent.sleep(0)
    client.publish("raw", bytes.fromhex("3005 0002 fffe 41"))
    waiting.join(SOON)
    assert str(waiting.exception) == f"{client.url} sent a topic that is not UTF-8"


# --- keepalive


def test_an_idle_client_pings(scripted, client_of, reports):
    broker = scripted()
    client = client_of(broker.url, keepalive=1)
    until(lambda: broker.seen("pings") >= 2, "two pings")
    client.publish("t/1", b"x", 1)
    assert [name for name, _ in rows(reports)] == ["connect", "publish t/1"]


def test_the_brokers_own_keepalive_counts(scripted, client_of):
    broker = scripted(server_keepalive=1)
    client_of(broker.url, version=5)
    until(lambda: broker.seen("pings") >= 1, "a ping")


def test_a_broker_that_does_not_answer_pings_is_lost(scripted, client_of, reports):
    broker = scripted(pingresp=False)
    client = client_of(broker.url, keepalive=1)
    with pytest.raises(ConnectionLost):
        client.receive()
    text = f"{broker.url} did not answer a ping within 1 s"
    assert failures(reports) == [("receive", text)]


def test_no_keepalive_is_no_entry_in_the_schedule(scripted, client_of):
    client = client_of(scripted().url, keepalive=0)
    assert not client._connection._keepalive.runs


# --- what is left behind


def test_closing_leaves_no_watcher_and_says_goodbye(scripted, leaves_nothing, client_of):
    broker = scripted()
    client_of(broker.url).close()

    def come_and_go():
        client = MqttClient(broker.url, timeout=SOON).open()
        client.publish("t/1", b"x", 1)
        with pytest.raises(CallTimeout):
            client.receive(timeout=0.01)
        client.close()

    leaves_nothing(come_and_go)
    until(lambda: broker.seen("open") == 0, "the end of the connections")
    assert broker.seen("disconnects") == 2


def test_a_lost_connection_leaves_nothing(scripted, leaves_nothing, client_of):
    broker = scripted()
    client_of(broker.url).close()

    def come_and_be_dropped():
        client = MqttClient(broker.url, timeout=SOON).open()
        client.publish("close")
        until(lambda: client.offline, "the end")
        client.close()

    leaves_nothing(come_and_be_dropped)


def test_closing_does_not_wait_for_a_broker_that_does_not_read():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            accepted, _ = listener.accept()
            accepted.recv(1000)
            accepted.sendall(b"\x20\x02\0\0")
            return accepted

        serving = gevent.spawn(serve)
        url = f"mqtt://127.0.0.1:{listener.getsockname()[1]}"
        client = MqttClient(url, timeout=SOON, close_timeout=3 * SOON).open()
        accepted = serving.get(timeout=SOON)
        sending = gevent.spawn(client.publish, "t/1", b"x" * 30_000_000)
        gevent.sleep(0.1)
        began = now()
        client.close()
        assert now() - began < SOON
        sending.join(SOON)
        assert isinstance(sending.exception, ConnectionLost)
        accepted.close()


def test_a_broker_that_does_not_read_is_a_failure_of_qos_0_too():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            accepted, _ = listener.accept()
            accepted.recv(1000)
            accepted.sendall(b"\x20\x02\0\0")
            return accepted

        serving = gevent.spawn(serve)
        url = f"mqtt://127.0.0.1:{listener.getsockname()[1]}"
        with (
            MqttClient(url, timeout=SOON).open() as client,
            serving.get(timeout=SOON),
            pytest.raises(CallTimeout, match=f"not sent within 0.2 s: {url} does not read"),
        ):
            client.publish("t/1", b"x" * 30_000_000, timeout=SHORT)


# --- mistakes


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("a/+", b"x"), "are wildcards, for subscriptions"),
        (("", b"x"), "is empty"),
        (("a", 5), "a payload is bytes, str or None, not int; json.dumps"),
        (("a", {"t": 1}), "a payload is bytes, str or None, not dict"),
        (("a", "\ud800"), "the payload has half of a surrogate pair in it"),
        ((["a"], b"x"), "a topic is text, not list"),
        (("a", b"x", 3), "qos=3; a quality of service is 0, 1 or 2"),
        (("a", b"x", True), "qos=True"),
        (("a", b"x", "1"), "qos='1'"),
    ],
)
def test_what_cannot_be_published(scripted, arguments, reason, client_of, reports):
    broker = scripted()
    client = client_of(broker.url)
    with pytest.raises(ConfigurationError, match=reason):
        client.publish(*arguments)
    assert len(failures(reports)) == 1
    client.publish("t/1", b"x", 1)
    assert broker.seen("publishes") == 1


def test_a_payload_that_is_too_large(scripted, client_of, reports):
    broker = scripted(maximum_packet_size=1000)
    client = client_of(broker.url, version=5)
    with pytest.raises(ConfigurationError, match="the broker takes packets of at most 1000 bytes"):
        client.publish("t", b"x" * 1000, 1)
    # 1 type, 2 length, 2 + 1 topic, 2 identifier, 1 properties
    assert client.publish("t", b"x" * 991, 1) == "Success"
    with pytest.raises(ConfigurationError, match="at most 1000 bytes"):
        client.publish("t", b"x" * 992, 1)
    plain = client_of(broker.url)
    payload = bytearray(268_435_456)
    with pytest.raises(ConfigurationError, match="a packet of MQTT has at most 268435455 bytes"):
        plain.publish("t", payload, 1)
    assert broker.seen("publishes") == 1


def test_filters_that_are_none(scripted, client_of):
    client = client_of(scripted().url)
    with pytest.raises(ConfigurationError, match="'#' has to come last"):
        client.subscribe("a/#/b")
    with pytest.raises(ConfigurationError, match="a wildcard stands alone"):
        client.receive("a+")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"version": 3}, r"version=3 is no version of MQTT .* '3\.1\.1' and 5"),
        ({"version": []}, "is no version of MQTT"),
        ({"keepalive": -1}, "keepalive=-1 is no whole number from 0 to 65535"),
        ({"keepalive": 1.5}, "keepalive=1.5 is no whole number"),
        ({"client_id": 7}, "client_id=7 is no text"),
        ({"client_id": "", "clean_session": False}, "needs a client_id"),
        ({"clean_session": "yes"}, "it is True or False"),
        ({"clean_session": True, "clean_start": True}, "are one option"),
        ({"password": "x"}, "a password needs a username"),
        ({"username": 1}, "a username is text, not int"),
        ({"username": "x" * 65_536}, "the username is longer than the 65535 bytes"),
        ({"username": "a", "password": "\ud800"}, "^the password has half of a surrogate pair"),
        ({"client_id": "x" * 65_536}, "client_id is longer than the 65535 bytes"),
        ({"client_id": "\ud800"}, "client_id has half of a surrogate pair"),
        ({"connect_timeout": "5"}, "connect_timeout='5' is no number of seconds above 0"),
        ({"connect_timeout": -1}, "connect_timeout=-1 is no number of seconds above 0"),
        ({"connect_backoff": 0}, "connect_backoff=0 is no number of seconds above 0"),
        ({"will": 3}, r"write Will\('topic'"),
        ({"will": ("a", b"", 1, False, 5)}, r"write Will\('topic'"),
        ({"will": Will("a", b"x" * 65_536)}, "the payload of the will is longer than"),
        ({"will": {"topc": "a"}}, "a will has topic, payload, qos and retain"),
        ({"will": Will("a/#")}, "are wildcards"),
        ({"will": Will("a", qos=4)}, "qos=4"),
        ({"max_in_flight": 70_000}, "from 1 to 65000"),
        ({"message_qos": 5}, "qos=5"),
        ({"properties": {"SessionExpiryInterval": 1}}, "open the client with version=5"),
        ({"version": 5, "properties": {"Nosuch": 1}}, "the property 'Nosuch' cannot be 1 here"),
        ({"version": 5, "properties": 1}, "pass a dict"),
        (
            {"version": 5, "properties": {"AuthenticationData": "hidden"}},
            "the property 'AuthenticationData' cannot be what was given here",
        ),
        ({"keep_alive": 1}, "did you mean 'keepalive'"),
    ],
)
def test_options_that_cannot_be(options, reason):
    with pytest.raises(ConfigurationError, match=reason):
        MqttClient("mqtt://localhost", **options)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mqtt:///topic", "names no host"),
        ("mqtt://localhost/topic", "has a path; a broker has none"),
        ("tcp://localhost", "speaks mqtt, mqtts, not 'tcp'"),
        ("mqtt://localhost:x", "the port is not a number"),
    ],
)
def test_urls_that_cannot_be(url, reason):
    with pytest.raises(ConfigurationError, match=reason):
        MqttClient(url)


def test_ports_that_are_not_named():
    assert str(MqttClient("mqtt://broker").url) == "mqtt://broker:1883"
    assert str(MqttClient("mqtts://broker").url) == "mqtts://broker:8883"
    assert str(MqttClient("broker:7").url) == "mqtt://broker:7"


def test_mistakes_of_a_class_are_found_before_the_load():
    with pytest.raises(ConfigurationError, match=r"^Old: version=2 is no version of MQTT"):
        check_hosts_of([type("Old", (MqttUser,), {"host": "mqtt://localhost", "version": 2})], None)


def test_an_option_that_each_user_has_his_own_of_is_not_looked_at_before_the_load():
    body = {"host": "mqtt://localhost", "client_id": property(lambda self: f"user-{id(self)}")}
    check_hosts_of([type("Named", (MqttUser,), body)], None)


def test_a_password_is_in_no_text(scripted):
    client = open_client(scripted().url.replace("://", "://ann:hunter2@"))
    assert "hunter2" not in f"{client!r} {client.url} {client.settings}"
    client.close()
