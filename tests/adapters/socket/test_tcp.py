"""The TCP client against a real server: what is sent, what is measured, what runs side by side."""

from __future__ import annotations

from locust import task

import socket

import gevent
import pytest
import trustme

from protouser import ConfigurationError, ConnectionLost, attach, now
from protouser.testing import ScriptedServer, load
from protouser_socket import TcpClient, TcpUser, length_prefix, lines

SOON = 30.0  # only a hang takes longer


@pytest.fixture(scope="module")
def server():
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def client(server, environment, reports):
    with connected(server.url, environment) as client:
        client.request(b"the server has accepted the connection")
        attach(environment).reset()
        del reports[:]
        yield client


def connected(url, environment, **options):
    options.setdefault("timeout", SOON)
    return TcpClient(url, session=attach(environment), **options).open()


def rows(reports):
    return [(report.request_type, report.name, report.exception) for report in reports]


def until(condition):
    deadline = now() + SOON
    while not condition():
        assert now() < deadline
        gevent.sleep(0.005)


def test_a_request_returns_its_reply_and_is_one_sample(client, reports):
    assert client.request(b"hello") == b"hello"
    (report,) = reports
    assert (report.request_type, report.name, report.exception) == ("tcp", "request", None)
    assert 0 < report.response_time < SOON * 1000
    assert (report.response, report.response_length) == (b"hello", 5)


def test_connecting_is_a_row_of_its_own_with_its_phases(server, environment, reports):
    with connected(server.url, environment):
        pass
    assert rows(reports) == [("tcp", "connect", None)]
    figures = attach(environment).own_figures()
    assert {key[2] for key in figures.timed} == {"service", "tcp"}


def test_the_measured_interval_ends_when_the_bytes_arrive(environment, reports):
    """Two replies in one segment: what the first greenlet does then is not the second's time."""
    busy, began = 0.4, {}

    def answer_both(listener):
        accepted, _ = listener.accept()
        received = b""
        while received.count(b"\n") < 2:
            received += accepted.recv(100)
        accepted.sendall(received)
        accepted.close()

    def ask_and_keep_the_hub_busy(client, payload):
        began[payload.decode()] = now()
        client.request(payload, name=payload.decode())
        until_ = now() + busy
        while now() < until_:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = gevent.spawn(answer_both, listener)
        client = connected(f"tcp://127.0.0.1:{listener.getsockname()[1]}", environment)
        asking = [gevent.spawn(ask_and_keep_the_hub_busy, client, text) for text in (b"a", b"b")]
        gevent.joinall([answering, *asking], timeout=SOON, raise_error=True)
        client.close()
    times = {report.name: report.response_time / 1000 for report in reports}
    assert abs(began["a"] + times["a"] - began["b"] - times["b"]) < busy / 2


def test_text_is_sent_as_utf_8_and_lengths_are_those_of_the_payload(client):
    with client.request("größer", catch_response=True) as call:
        assert call.response == "größer".encode()
        assert (call.request.payload, call.request_length) == ("größer", 8)


@pytest.mark.parametrize("payload", [bytearray(b"abc"), memoryview(b"abc")])
def test_other_bytes_are_accepted(client, payload):
    assert client.request(payload) == b"abc"


def test_what_is_no_payload_is_refused_and_the_connection_lives(client, server):
    before = server.accepted()
    for payload in (5, None, b"two\nlines"):
        with pytest.raises(ConfigurationError):
            client.request(payload)
    assert client.request(b"alive") == b"alive"
    assert server.accepted() == before


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


def test_a_send_is_counted_without_a_response_time(client, server, reports):
    before = server.received()
    assert client.send(b"quiet") is None
    until(lambda: server.received() == before + 1)
    assert rows(reports) == [("tcp", "send", None)]
    assert reports[0].response_time is None


def test_a_push_is_received_and_its_waiting_is_a_series(client, environment, reports):
    client.request(b"push 0.5")
    assert client.receive(timeout=SOON) == b"pushed"
    assert rows(reports)[1] == ("tcp", "receive", None)
    assert reports[1].response_time is None
    waited = attach(environment).own_figures().timed["tcp", "receive", "wait", "success"]
    assert waited.count == 1


@pytest.mark.parametrize(
    "text", [b"push", b"push soon", b"sleep", b"sleep nan", b"tell", b"tell 1.5"]
)
def test_a_command_without_its_number_is_echoed(client, text):
    assert client.request(text) == text
    assert client.request(b"after it") == b"after it"


def test_a_push_that_is_there_already_was_not_waited_for(client, environment):
    client.request(b"tell 2")
    until(lambda: len(client.connection.inbox) == 1)
    assert client.receive(timeout=SOON) == b"1"
    series = {key[2] for key in attach(environment).own_figures().timed}
    assert "wait" not in series


def test_a_receive_in_vain_is_a_failure_and_the_connection_lives(client, server, reports):
    before = server.accepted()
    with pytest.raises(TimeoutError, match=r"^no message within 0\.05 s$"):
        client.receive(timeout=0.05)
    assert client.request(b"alive") == b"alive"
    assert server.accepted() == before
    assert [row[1] for row in rows(reports)] == ["receive", "request"]


def test_requests_of_several_greenlets_each_get_their_own_reply(client):
    replies = {}

    def ask(number):
        for turn in range(20):
            text = f"{number}/{turn}"
            replies[text] = client.request(text)

    gevent.joinall([gevent.spawn(ask, number) for number in range(20)], raise_error=True)
    assert len(replies) == 400
    assert all(reply.decode() == text for text, reply in replies.items())


def test_requests_under_way_together_get_their_own_replies_whatever_their_size(client):
    messages = [bytes([65 + number]) * (600_000 if number % 2 else 10) for number in range(10)]
    asking = [gevent.spawn(client.request, message) for message in messages]
    gevent.joinall(asking, timeout=SOON)
    assert [greenlet.value for greenlet in asking] == messages


def test_messages_with_a_length_prefix(environment):
    with (
        ScriptedServer(prefix=4) as server,
        connected(server.url, environment, framing=length_prefix()) as client,
    ):
        message = b"a\nb\0" * 100_000
        assert client.request(message) == message
        assert client.request(b"") == b""


def test_a_unix_socket(environment, tmp_path):
    with (
        ScriptedServer(path=str(tmp_path / "s")) as server,
        connected(server.url, environment) as client,
    ):
        assert client.request(b"hello") == b"hello"


def test_tls_with_its_own_phase(environment, reports, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    with (
        ScriptedServer(cert_file=str(tmp_path / "server.pem")) as server,
        connected(server.url, environment, ca_file=str(tmp_path / "ca.pem")) as client,
    ):
        assert client.request(b"x" * 100_000) == b"x" * 100_000
    assert [row[:2] for row in rows(reports)] == [("tcp", "connect"), ("tcp", "request")]
    assert {key[2] for key in attach(environment).own_figures().timed} >= {"tcp", "tls"}


def test_closing_ends_the_connection_at_once_and_twice_is_harmless(server, environment):
    client = connected(server.url, environment)
    client.request(b"hello")
    until(lambda: server.connections() == 1)
    client.close()
    client.close()
    until(lambda: server.connections() == 0)


def test_closing_wakes_whoever_waits(server, environment):
    client = connected(server.url, environment)
    waiting = gevent.spawn(client.receive)
    gevent.sleep(0.01)
    client.close()
    waiting.join(SOON)
    assert isinstance(waiting.exception, ConnectionLost)
    assert "was closed here" in str(waiting.exception)


def test_after_closing_the_next_call_connects_anew(client, reports):
    client.close()
    assert client.request(b"hello") == b"hello"
    assert [row[1] for row in rows(reports)] == ["connect", "request"]


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("tcp://localhost", {}, "names no port; write tcp://localhost:7000"),
        ("unix://", {}, "names no"),
        ("tcp://localhost:1", {"framing": "lines"}, "it is made by lines"),
        ("tcp://localhost:1", {"framng": lines()}, "did you mean 'framing'"),
    ],
)
def test_a_mistake_in_url_or_options_is_said_before_connecting(url, options, message):
    with pytest.raises(ConfigurationError, match=message):
        TcpClient(url, **options)


def test_users_share_nothing_and_every_row_is_reported(server):
    talked = set()

    class Echo(TcpUser):
        host = server.url
        timeout = SOON
        wait_time = lambda self: 0.001  # noqa: E731

        def on_start(self):
            self.number = 0

        @task
        def echo(self):
            self.number += 1
            text = f"{id(self)} {self.number}"
            assert self.client.request(text).decode() == text
            talked.add(self)

    before = server.received()
    results = load(Echo, users=5, seconds=SOON, stop_timeout=SOON, until=lambda: len(talked) == 5)
    row = results["tcp", "request"]
    assert results["tcp", "connect"].successes == 5
    assert row.failures == 0
    assert not results.errors
    assert row.successes == server.received() - before
    until(lambda: server.connections() == 0)


def test_a_user_class_says_its_framing(environment):
    class Prefixed(TcpUser):
        framing = length_prefix(2)

        @task
        def ask(self):
            assert self.client.request(b"a\nb") == b"a\nb"
            self.stop()

    with ScriptedServer(prefix=2) as server:
        results = load(Prefixed, users=1, seconds=SOON, host=server.url)
    assert results["tcp", "request"].successes > 0
    assert not results.errors


def test_a_user_stopped_in_a_request_is_cancelled_and_leaves_no_connection(server):
    class Waiting(TcpUser):
        host = server.url

        @task
        def ask(self):
            self.client.request(b"sleep 90")

    before = server.received()
    results = load(Waiting, users=3, seconds=SOON, until=lambda: server.received() - before == 3)
    row = results["tcp", "request"]
    assert (row.successes, row.failures, row.cancelled) == (0, 0, 3)
