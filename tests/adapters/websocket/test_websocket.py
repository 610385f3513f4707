"""The WebSocket client against a real server: what is sent, what is measured, side by side."""

from __future__ import annotations

from locust import task

import base64
import contextlib
import json

import gevent
import pytest
from gevent.event import Event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protouser import (
    CallTimeout,
    ConfigurationError,
    ConnectionLost,
    attach,
    equals,
    field,
    now,
    open_client,
)
from protouser.testing import load
from protouser_websocket import WebSocketClient, WebSocketUser

from .conftest import SOON


def rows(reports):
    return [(report.request_type, report.name, report.exception) for report in reports]


@pytest.fixture
def client(server, connected, environment, reports):
    client = connected(server.url())
    client.request("the server has accepted the connection")
    attach(environment).reset()
    del reports[:]
    return client


def test_a_request_returns_its_reply_and_is_one_sample(client, reports):
    assert client.request("hello") == "hello"
    (report,) = reports
    assert (report.request_type, report.name, report.exception) == ("ws", "request", None)
    assert 0 < report.response_time < SOON * 1000
    assert (report.response, report.response_length) == ("hello", 5)


def test_text_is_str_and_binary_is_bytes(client):
    with client.request("größer", catch_response=True) as call:
        assert call.response == "größer"
        assert (call.request_length, call.response_length) == (8, 8)
    for payload in (b"\xff\x00", bytearray(b"abc"), memoryview(b"abc")):
        assert client.request(payload) == bytes(payload)


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    payload=st.text().filter(
        lambda text: not text.startswith("sleep ") and text not in ("quiet", "fail")
    )
    | st.binary()
)
def test_every_payload_comes_back_as_it_was(client, payload):
    assert client.request(payload) == payload


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 1_000_000])
def test_every_length_of_frame(client, size):
    assert client.request("x" * size) == "x" * size
    assert len(client.request(bytes(size))) == size


def test_what_is_no_payload_is_refused_and_the_connection_lives(client, server):
    before = server.stats()["accepted"]
    for payload in (5, None, "\ud800"):
        with pytest.raises(ConfigurationError, match="payload"):
            client.send(payload)
    assert client.request("hello") == "hello"
    assert server.stats()["accepted"] == before


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_connecting_is_a_row_of_its_own_with_its_phases(
    scheme, server, connected, environment, certificates, reports
):
    connected(
        server.url("/", scheme),
        **({"ca_file": str(certificates / "ca.pem")} if scheme == "wss" else {}),
    )
    assert rows(reports) == [("ws", "connect", None)]
    phases = {"service", "tcp", "upgrade"} | ({"tls"} if scheme == "wss" else set())
    assert {key[2] for key in attach(environment).own_figures().timed} == phases


def test_one_way_messages_have_no_response_time(client, reports, until, server):
    before = server.stats()["received"]
    client.send("quiet")
    until(lambda: server.stats()["received"] == before + 1)
    (report,) = reports
    assert (report.name, report.response_time, report.exception) == ("send", None, None)


def test_pushes_are_kept_in_order_and_counted_when_they_are_read(
    server, connected, environment, reports
):
    client = connected(server.url("/push"))
    assert [client.receive() for _ in range(3)] == ["push 1", "push 2", "push 3"]
    received = [report for report in reports if report.name == "receive"]
    assert [report.response_time for report in received] == [None] * 3
    assert [report.response_length for report in received] == [6] * 3
    assert attach(environment).own_figures().outcome("ws", "receive", "one_way") == 3


def test_how_long_a_push_was_waited_for_is_a_series(client, environment):
    began = now()
    reading = gevent.spawn(client.receive)
    gevent.sleep(0)
    waits_since = now()
    gevent.sleep(0.1)
    sent = now()
    client.send("hello")
    reading.get(timeout=SOON)
    ended = now()
    figures = attach(environment).own_figures()
    (waited,) = [h for key, h in figures.timed.items() if key[:3] == ("ws", "receive", "wait")]
    seconds = waited.percentile(0.5) / 1e9
    assert sent - waits_since < seconds * 1.01
    assert seconds < (ended - began) * 1.01


def test_a_request_takes_the_message_that_matches_and_keeps_the_others(server, connected, reports):
    client = connected(server.url("/push"))
    mine = client.request("mine", match=lambda message: message == "mine")
    assert mine == "mine"
    assert [client.receive() for _ in range(4)] == ["push 1", "push 2", "push 3", "push"]


def test_a_matcher_may_look_into_the_message(client):
    client.send('{"type": "push"}')
    acknowledged = '{"type": "ack", "of": {"id": 7}}'
    assert client.request(acknowledged, match=field("of.id", 7)) == acknowledged
    assert client.request("pong", match=equals("pong")) == "pong"
    assert client.receive(match=~field("type", "ack")) == '{"type": "push"}'


def test_a_request_never_takes_what_was_there_before(server, connected):
    client = connected(server.url("/push"))
    client.receive(match=equals("push 3"))
    assert client.request("hello") == "push"
    assert [client.receive() for _ in range(3)] == ["push 1", "push 2", "hello"]


def test_receive_takes_what_matches_first(server, connected):
    client = connected(server.url("/push"))
    assert client.receive(match=lambda message: message.endswith("3")) == "push 3"
    assert client.receive() == "push 1"


def test_a_match_that_raises_fails_its_own_call(client, reports):
    with pytest.raises(ZeroDivisionError):
        client.request("hello", match=lambda message: 1 / 0)
    assert type(reports[0].exception) is ZeroDivisionError


def test_the_measured_interval_ends_when_the_bytes_arrive(peer, connected, reports):
    """Two replies in one segment: what the first greenlet does then is not the second's time."""
    busy = 0.4
    began = {}

    def answer_both(sock):
        received = b""
        while len(received) < 2 * 7:
            received += sock.recv(100)
        sock.sendall(b"\x81\x01a\x81\x01b")
        sock.recv(100)

    def ask_and_keep_the_hub_busy(payload):
        began[payload] = now()
        client.request(payload, name=payload)
        end = now() + busy
        while now() < end:
            pass

    client = connected(peer(answer_both).url)
    asking = [gevent.spawn(ask_and_keep_the_hub_busy, payload) for payload in ("a", "b")]
    gevent.joinall(asking, timeout=SOON, raise_error=True)
    times = {report.name: report.response_time / 1000 for report in reports}
    assert abs(began["a"] + times["a"] - began["b"] - times["b"]) < busy / 2


def test_requests_of_several_greenlets_share_the_connection(client, server):
    before = server.stats()["accepted"]
    asking = [
        gevent.spawn(client.request, f"{n}", match=lambda message, n=n: message == f"{n}")
        for n in range(50)
    ]
    gevent.joinall(asking, timeout=SOON, raise_error=True)
    assert [greenlet.value for greenlet in asking] == [f"{n}" for n in range(50)]
    assert server.stats()["accepted"] == before


def test_large_messages_of_several_greenlets_do_not_mix(peer, connected, until):
    """None of them fits into the buffers, so that each sender waits in the middle of its own."""
    size = 12_000_000

    def serve(sock):
        go_on.wait(SOON)
        sock.sendall(b"\x89\x01p")
        server.read_all(sock)

    go_on = Event()
    server = peer(serve)
    client = connected(server.url)
    sending = [gevent.spawn(client.send, bytes(size)) for _ in range(3)]
    gevent.sleep(0.1)
    assert not any(greenlet.ready() for greenlet in sending)
    go_on.set()
    gevent.joinall(sending, timeout=4 * SOON, raise_error=True)
    client.close()
    until(lambda: server.ended)
    frames = [(opcode, length) for opcode, length in outlines(server.received)]
    assert sorted(frames) == [(2, size)] * 3 + [(8, 2), (10, 1)]


def outlines(data):
    """The frames of a client as (opcode, length)."""
    place = 0
    while place < len(data):
        opcode, length = data[place] & 15, data[place + 1] & 127
        place += 6
        if length == 127:
            length = int.from_bytes(data[place - 4 : place + 4], "big")
            place += 8
        yield opcode, length
        place += length


def test_large_messages_over_tls_do_not_mix(server, connected, certificates):
    client = connected(server.url("/", "wss"), ca_file=str(certificates / "ca.pem"))
    payloads = [chr(97 + n) * 1_000_000 for n in range(4)]
    asking = [
        gevent.spawn(client.request, text, match=lambda m, t=text: m == t) for text in payloads
    ]
    gevent.joinall(asking, timeout=4 * SOON, raise_error=True)
    assert [greenlet.value for greenlet in asking] == payloads


def test_a_ping_is_timed_to_its_pong(client, reports):
    assert client.ping() is None
    (report,) = reports
    assert (report.name, report.exception) == ("ping", None)
    assert 0 < report.response_time < SOON * 1000


def test_pings_are_answered_whatever_the_user_does(server, connected, until):
    client = connected(server.url("/ping"))
    until(lambda: server.stats()["pongs"] >= 3)
    waiting = gevent.spawn(client.request, "sleep 60", timeout=120)
    seen = server.stats()["pongs"]
    until(lambda: server.stats()["pongs"] >= seen + 3)
    assert not waiting.ready()
    waiting.kill()


def told(server, connected, path="/headers", **options):
    url = options.pop("url", None) or server.url(path)
    client = connected(url, **options)
    said = json.loads(client.receive())
    return said["path"], said["headers"], client


def test_headers_origin_and_cookies_are_sent(server, connected):
    path, headers, _ = told(
        server,
        connected,
        "/headers?a=1&a=2&b=%2F",
        headers={"X-Token": "t", "User-Agent": "mine"},
        origin="https://example.org",
        cookies={"a": "1", "b": "2"},
    )
    sent = {name.lower(): value for name, value in headers}
    assert path == "/headers?a=1&a=2&b=%2F"
    assert (sent["x-token"], sent["user-agent"]) == ("t", "mine")
    assert (sent["origin"], sent["cookie"]) == ("https://example.org", "a=1; b=2")
    assert "sec-websocket-extensions" not in sent
    assert len(sent) == len(headers)


@pytest.mark.parametrize("headers", [["X-Token: t"], [("X-Token", "t")], {"X-Token": "t"}])
def test_headers_may_be_written_in_several_ways(headers, server, connected):
    assert ["X-Token", "t"] in told(server, connected, headers=headers)[1]


def test_the_password_of_the_url_is_sent_and_never_shown(server, connected):
    url = server.url("/headers?key=hidden").replace("ws://", "ws://me:s%40cret@")
    _, headers, client = told(server, connected, url=url)
    expected = "Basic " + base64.b64encode(b"me:s@cret").decode()
    assert ["Authorization", expected] in headers
    shown = f"{client.url} {client.url!r} {client._opening!r}"
    assert "cret" not in shown
    assert "hidden" not in shown


def test_a_subprotocol_is_agreed_upon(server, connected):
    client = connected(server.url(), subprotocols=["nobody", "superchat", "chat"])
    assert client.subprotocol == "superchat"
    assert client.response_headers["upgrade"] == "websocket"


def test_a_proxy_of_the_environment_is_not_used(server, connected, monkeypatch):
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert connected(server.url()).request("direct") == "direct"


def test_the_common_options_of_every_call(client, reports):
    client.request("a", name="A", context={"x": 1}, check=lambda reply: reply == "a")
    client.send("quiet", name="B", context={"x": 2})
    client.ping(name="C", context={"x": 3})
    client.send("push")
    client.receive(name="D", context={"x": 4}, check=lambda message: message == "other")
    told = [(report.name, report.context.get("x"), report.exception is None) for report in reports]
    assert told == [
        ("A", 1, True),
        ("B", 2, True),
        ("C", 3, True),
        ("send", None, True),
        ("D", 4, False),
    ]


def test_after_close_the_next_call_connects_anew(client, reports, server, until):
    client.close()
    until(lambda: server.stats()["open"] == 0)
    assert server.stats()["closed"][-1] == 1000
    assert client.request("again") == "again"
    assert [name for _, name, _ in rows(reports)] == ["connect", "request"]


def test_an_orderly_end_that_nobody_waited_through_is_no_failure(server, connected, reports, until):
    client = connected(server.url("/bye?code=1001"))
    assert [client.receive(), client.receive()] == ["one", "two"]
    until(lambda: server.stats()["open"] == 0)  # the client has answered the close frame
    client.send("quiet")
    assert [name for _, name, _ in rows(reports)] == [
        "connect",
        "receive",
        "receive",
        "connect",
        "send",
    ]
    assert all(report.exception is None for report in reports)


def test_a_timed_out_receive_leaves_the_connection_alone(client, reports):
    with pytest.raises(CallTimeout, match=r"no message within 0\.05 s"):
        client.receive(timeout=0.05)
    assert client.request("hello") == "hello"
    assert [name for _, name, _ in rows(reports)] == ["receive", "request"]


def test_a_client_outside_locust(server):
    with open_client(server.url(), timeout=SOON) as client:
        assert isinstance(client, WebSocketClient)
        assert client.request("hello") == "hello"


def test_users_of_a_small_load(server, until):
    talked = set()

    class Talker(WebSocketUser):
        host = server.url()
        subprotocols = ("chat",)

        @task
        def talk(self):
            assert self.client.subprotocol == "chat"
            self.client.request("hello", check=lambda reply: reply == "hello")
            talked.add(self)

    before = server.stats()["received"]
    results = load(
        Talker, users=10, seconds=SOON, stop_timeout=SOON, until=lambda: len(talked) == 10
    )
    assert results["ws", "request"].successes == server.stats()["received"] - before > 0
    assert results["ws", "connect"].successes == 10
    assert results.figures.total("failure") == 0
    assert results.errors == []
    until(lambda: server.stats()["open"] == 0)


def test_a_killed_request_is_cancelled_and_its_reply_is_nobodys(
    client, environment, reports, server, until
):
    before = server.stats()["received"]
    killed = gevent.spawn(client.request, "sleep 60")
    until(lambda: server.stats()["received"] == before + 1)
    killed.kill()
    assert client.request("next") == "next"
    assert attach(environment).own_figures().outcome("ws", "request", "cancelled") == 1
    assert [name for _, name, _ in rows(reports)] == ["connect", "request"]


def test_waiting_calls_are_told_of_the_end(client):
    asking = gevent.spawn(client.request, "sleep 60")
    gevent.sleep(0.05)
    client.close()
    with pytest.raises(ConnectionLost, match="was closed here"):
        asking.get(timeout=SOON)


def test_a_server_that_closes_each_connection_is_not_asked_as_fast_as_the_machine_can(
    server, connected, until
):
    client = connected(server.url("/close?code=1013"))
    before = server.stats()["accepted"]

    def ask_without_end():
        while True:
            with contextlib.suppress(ConnectionLost):
                client.request("hello")

    began = now()
    asking = gevent.spawn(ask_without_end)
    until(lambda: server.stats()["accepted"] >= before + 5)
    asking.kill()
    assert now() - began > 0.3, "seconds; the pauses before the third and the fourth alone"
