"""The UDP client against a real server: what is sent, what is measured, whose reply is whose."""

from __future__ import annotations

from locust import task

import select

import gevent
import pytest
from gevent.monkey import get_original

from protouser import ConfigurationError, ConnectionLost, attach, equals, now, open_client
from protouser.testing import load
from protouser_socket import UdpClient, UdpUser

SOON = 30.0  # only a hang takes longer


@pytest.fixture
def server(udp_server):
    return udp_server


@pytest.fixture
def client(server, udp_client_of, environment, reports):
    client = udp_client_of(server.url)
    attach(environment).reset()
    del reports[:]
    return client


def rows(reports):
    return [(report.request_type, report.name, report.exception) for report in reports]


def test_a_request_returns_its_reply_and_is_one_sample(client, reports):
    assert client.request(b"hello") == b"hello"
    (report,) = reports
    assert (report.request_type, report.name, report.exception) == ("udp", "request", None)
    assert 0 < report.response_time < SOON * 1000
    assert (report.response, report.response_length) == (b"hello", 5)


def test_connecting_is_one_row_and_sends_nothing(server, udp_client_of, environment, reports):
    before = server.received()
    udp_client_of(server.url)
    assert rows(reports) == [("udp", "connect", None)]
    figures = attach(environment).own_figures()
    assert {key[2] for key in figures.timed} == {"service"}
    assert server.received() == before


def test_it_is_found_by_its_scheme(server):
    with open_client(server.url) as client:
        assert isinstance(client, UdpClient)
        assert client.request(b"hello") == b"hello"


def test_a_server_that_is_named_by_its_name(server, udp_client_of):
    client = udp_client_of(server.url.replace("127.0.0.1", "localhost"))
    assert client.request(b"hello") == b"hello"


def test_text_is_sent_as_utf_8_and_lengths_are_those_of_the_payload(client):
    with client.request("größer", catch_response=True) as call:
        assert call.response == "größer".encode()
        assert (call.request.payload, call.request_length) == ("größer", 8)


@pytest.mark.parametrize("payload", [bytearray(b"abc"), memoryview(b"abc")])
def test_other_bytes_are_accepted(client, payload):
    assert client.request(payload) == b"abc"


@pytest.mark.parametrize("payload", [b"x" * 65_507, b"two\nlines\0", b""], ids=len)
def test_whatever_fits_into_a_datagram_comes_back_whole(client, payload):
    assert client.request(payload) == payload


def test_an_empty_datagram_is_a_reply(client, reports):
    assert client.request(b"empty", check=lambda reply: reply == b"") == b""
    assert (reports[0].exception, reports[0].response_length) == (None, 0)


def test_name_check_and_context_reach_the_event(client, reports):
    reply = client.request(b"fail", name="order", check=lambda r: r != b"error", context={"a": 1})
    assert reply == b"error"
    (report,) = reports
    assert (report.name, report.context) == ("order", {"a": 1})
    assert str(report.exception) == "check failed: got b'error'"


def test_catch_response_leaves_the_verdict_to_the_block(client, reports):
    with client.request(b"fail", catch_response=True) as call:
        if call.response == b"error":
            call.failure("the server said error")
    assert str(reports[0].exception) == "the server said error"


def test_a_send_is_counted_without_a_response_time(client, server, reports, until):
    before = server.received()
    assert client.send(b"quiet", name="report") is None
    until(lambda: server.received() == before + 1)
    assert rows(reports) == [("udp", "report", None)]
    assert reports[0].response_time is None


def test_a_push_is_received_and_its_waiting_is_a_series(client, environment, reports):
    client.request(b"push 0.5")
    assert client.receive(name="news", timeout=SOON) == b"pushed"
    assert rows(reports)[1] == ("udp", "news", None)
    assert reports[1].response_time is None
    waited = attach(environment).own_figures().timed["udp", "news", "wait", "success"]
    assert waited.count == 1


def test_a_push_that_is_there_already_was_not_waited_for(client, environment, until):
    client.send(b"tell 2")
    until(lambda: len(client.connection.inbox) == 2)
    assert [client.receive(timeout=SOON) for _ in range(2)] == [b"0", b"1"]
    series = {key[2] for key in attach(environment).own_figures().timed}
    assert "wait" not in series


def test_a_receive_in_vain_is_a_failure_and_the_port_stays(client, reports):
    port = client.request(b"port")
    with pytest.raises(TimeoutError, match=r"^no message within 0\.05 s$"):
        client.receive(timeout=0.05)
    assert client.request(b"port") == port
    assert [row[1] for row in rows(reports)] == ["request", "receive", "request"]


def test_what_was_there_before_a_request_is_not_its_reply_and_is_kept(client, until):
    client.send(b"stray")
    until(lambda: len(client.connection.inbox) == 1)
    assert client.request(b"hello") == b"hello"
    assert client.receive(timeout=SOON) == b"stray"


def test_neither_is_what_the_hub_had_no_time_to_read(client, server):
    client.send(b"stray")
    arrived = get_original("select", "poll")()  # nothing else of this process runs meanwhile
    arrived.register(client.connection.socket.fileno(), select.POLLIN)
    assert arrived.poll(SOON * 1000)
    assert client.request(b"hello") == b"hello"
    assert client.receive(timeout=SOON) == b"stray"


def test_a_second_reply_is_left_for_receive_until_the_next_request_is_sent(client, until):
    assert client.request(b"twice") == b"twice"
    until(lambda: len(client.connection.inbox) == 1)
    assert client.request(b"next") == b"next"
    assert client.receive(timeout=SOON) == b"twice"


def test_the_measured_interval_ends_when_the_datagram_arrives(client, reports):
    """A greenlet that keeps the hub busy between arrival and wake-up is not the server's time."""
    busy = 0.4
    spent = []

    def keep_the_hub_busy():
        until_ = now() + busy
        while now() < until_:
            pass

    def ask():
        began = now()
        client.request(b"hello")
        spent.append(now() - began)
        keep_the_hub_busy()

    gevent.joinall([gevent.spawn(ask)], raise_error=True)
    assert reports[0].response_time <= spent[0] * 1000


def test_two_requests_at_once_are_refused_since_their_replies_look_alike(client, reports):
    first = gevent.spawn(client.request, b"sleep 0.5")
    gevent.sleep(0)
    with pytest.raises(ConfigurationError, match="open a client for each greenlet"):
        client.request(b"second")
    assert first.get(timeout=SOON) == b"sleep 0.5"
    assert client.request(b"third") == b"third"
    assert [report.exception is None for report in reports] == [False, True, True]


def test_requests_that_match_their_replies_may_be_under_way_together(client):
    texts = [f"sleep 0.{number}".encode() for number in (7, 6, 5)]
    asking = [gevent.spawn(client.request, text, match=equals(text)) for text in texts]
    gevent.sleep(0)
    with pytest.raises(ConfigurationError, match="give match= to both"):
        client.request(b"which one is mine?")
    gevent.joinall(asking, timeout=SOON)
    assert [greenlet.value for greenlet in asking] == texts


def test_what_a_request_does_not_match_is_kept(client):
    assert client.request(b"tell 3", match=equals(b"2")) == b"2"
    assert client.receive(match=equals(b"1"), timeout=SOON) == b"1"
    assert client.receive(timeout=SOON) == b"0"


def test_one_greenlet_may_listen_while_another_sends(client):
    listening = gevent.spawn(client.receive, timeout=SOON)
    gevent.sleep(0)
    client.send(b"hello")
    assert listening.get(timeout=SOON) == b"hello"


def test_unread_datagrams_do_not_fill_the_memory(server, udp_client_of, environment, until):
    client = udp_client_of(server.url, buffer=3)
    client.send(b"tell 5")
    until(lambda: len(client.connection.inbox) == 3)
    assert client.request(b"hello") == b"hello"
    assert [client.receive(timeout=SOON) for _ in range(3)] == [b"0", b"1", b"2"]
    with pytest.raises(TimeoutError):
        client.receive(timeout=0.02)
    assert attach(environment).own_figures().counters["udp", "receive", "dropped"] == 2


def test_after_closing_the_next_call_connects_anew(client, reports):
    client.request(b"hello")
    client.close()
    client.close()
    assert client.request(b"hello") == b"hello"
    assert [row[1] for row in rows(reports)] == ["request", "connect", "request"]


def test_closing_wakes_whoever_waits(client):
    waiting = [gevent.spawn(client.receive), gevent.spawn(client.request, b"quiet")]
    gevent.sleep(0.01)
    client.close()
    gevent.joinall(waiting, timeout=SOON)
    assert [type(greenlet.exception) for greenlet in waiting] == [ConnectionLost] * 2
    assert {str(greenlet.exception) for greenlet in waiting} == {
        f"the socket to {client.url} was closed here"
    }


def test_users_share_nothing_and_every_row_is_reported(server, until):
    talked = set()

    class Echo(UdpUser):
        host = server.url
        timeout = SOON
        wait_time = lambda self: 0.001  # noqa: E731
        number = 0

        @task
        def echo(self):
            self.number += 1
            text = f"{id(self)} {self.number}"
            assert self.client.request(text).decode() == text
            talked.add(self)

    received, peers = server.received(), server.peers()
    results = load(Echo, users=5, seconds=SOON, until=lambda: len(talked) == 5)
    row = results["udp", "request"]
    assert results["udp", "connect"].successes == 5
    assert row.failures == 0
    assert not results.errors
    until(lambda: server.received() - received == row.successes + row.cancelled)
    assert server.peers() - peers == 5


def test_a_user_stopped_in_a_request_is_cancelled(server):
    class Waiting(UdpUser):
        host = server.url

        @task
        def ask(self):
            self.client.request(b"quiet")

    before = server.received()
    results = load(Waiting, users=3, seconds=SOON, until=lambda: server.received() - before == 3)
    row = results["udp", "request"]
    assert (row.successes, row.failures, row.cancelled) == (0, 0, 3)


def test_a_client_beside_others_in_one_user(server):
    class Hybrid(UdpUser):
        host = server.url

        def connect(self):
            self.first, self.second = self.open(self.host), self.open(self.host, timeout=SOON)

        @task
        def both(self):
            ports = {self.first.request(b"port"), self.second.request(b"port")}
            assert len(ports) == 2
            self.stop()

    results = load(Hybrid, users=1, seconds=SOON)
    assert results["udp", "connect"].successes == 2
    assert not results.errors
