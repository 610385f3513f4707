"""Many requests in flight on one connection, told apart by an id in both directions."""

from __future__ import annotations

from locust import task

import gevent
import pytest

from protouser import CallTimeout, ConfigurationError, attach, by_regex
from protouser.testing import ScriptedServer, load
from protouser_socket import TcpClient, TcpUser, UdpClient, UdpUser

SOON = 30.0  # only a hang takes longer
NUMBER = by_regex(r"#(\d+)")


@pytest.fixture(scope="module")
def servers(udp_server):
    with ScriptedServer() as server:
        yield {"tcp": (TcpClient, server.url), "udp": (UdpClient, udp_server.url)}


@pytest.fixture(params=["tcp", "udp"])
def client(request, servers, environment, reports):
    kind, url = servers[request.param]
    client = kind(url, session=attach(environment), timeout=SOON, correlate=NUMBER)
    with client.open():
        del reports[:]
        yield client


def counters(client):
    counters = client.session.own_figures().counters
    return {counter: value for (_, _, counter), value in counters.items()}


def test_fifty_requests_are_in_flight_and_each_has_its_own_reply(client, reports):
    greenlets = [gevent.spawn(client.request, f"ask #{number}") for number in range(50)]
    gevent.joinall(greenlets, timeout=SOON, raise_error=True)
    assert [greenlet.value for greenlet in greenlets] == [
        f"ask #{number}".encode() for number in range(50)
    ]
    assert [(report.name, report.exception) for report in reports] == [("request", None)] * 50


def test_a_timed_out_request_leaves_the_connection_and_its_late_reply_goes_to_nobody(
    client, reports, until
):
    with pytest.raises(CallTimeout):
        client.request(
            "sleep 0.5 #1" if client.protocol == "tcp" else "sleep 0.5",
            timeout=0.02,
            correlate=(lambda _: "late", lambda m: "late" if b"sleep" in m else None),
        )
    assert client.request("ask #2") == b"ask #2"
    until(lambda: counters(client).get("late replies"))
    assert [report.name for report in reports] == ["request", "request"]


def test_a_request_without_an_id_needs_a_match(client):
    with pytest.raises(ConfigurationError, match="finds no id in this request"):
        client.request("hello")
    assert client.request("hello", match=lambda message: message == b"hello") == b"hello"
    assert client.request("hello", correlate=False) == b"hello"


@pytest.mark.parametrize("kind", [TcpUser, UdpUser])
def test_a_lambda_on_the_class_of_a_user_finds_ids(kind, servers):
    url = servers["tcp" if kind is TcpUser else "udp"][1]

    class Pipelining(kind):
        host = url
        correlate = lambda message: message[-2:]  # noqa: E731

        @task
        def ask(self):
            numbers = range(10, 20)
            asked = [self.spawn(self.client.request, f"ask {number}") for number in numbers]
            gevent.joinall(asked, timeout=SOON)
            assert [one.value for one in asked] == [f"ask {number}".encode() for number in numbers]
            self.stop()

    results = load(Pipelining, users=2, seconds=SOON)
    assert results[client_type(kind), "request"].successes == 20
    assert results.errors == []


def client_type(kind):
    return kind.client_class.protocol


def test_what_nobody_waits_for_is_dropped_or_a_failure_where_that_was_said(
    servers, environment, reports, until
):
    kind, url = servers["tcp"]
    session = attach(environment)
    with kind(url, session=session, timeout=SOON, unmatched="drop").open() as client:
        assert client.request("tell 3", match=lambda message: message == b"2") == b"2"
        assert len(client.connection.inbox) == 0
    assert session.own_figures().counters["tcp", "receive", "dropped"] == 2
    with kind(url, session=session, timeout=SOON, unmatched="fail").open() as client:
        client.send("tell 1")
        until(lambda: any(report.name == "unmatched" for report in reports))
    (report,) = [report for report in reports if report.name == "unmatched"]
    assert str(report.exception) == "a message came that no call was waiting for"
    assert (report.response, report.response_time) == (b"0", None)


@pytest.mark.parametrize(
    "options", [{"unmatched": "loose"}, {"buffer": 0}, {"buffer": "many"}, {"correlate": "id"}]
)
def test_options_that_cannot_be_are_refused_before_anything_is_opened(options):
    (name,) = options
    with pytest.raises(ConfigurationError, match=f"{name}="):
        TcpClient("tcp://127.0.0.1:1", **options)
