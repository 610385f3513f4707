"""The UDP client, mistakes and trouble: one failure that says where and why, no reply mistaken."""

from __future__ import annotations

import socket

import gevent
import pytest

from protouser import CallTimeout, ConfigurationError, ConnectFailed, equals, now
from protouser.testing import load
from protouser_socket import UdpClient, UdpUser

SOON = 30.0  # only a hang takes longer
SHORT = 0.1


@pytest.fixture
def client_of(udp_client_of, nothing_held):
    """Opens clients; once they are closed nothing is there that was not there before."""
    clients = []

    def opened(url, **options):
        clients.append(udp_client_of(url, **options))
        return clients[-1]

    yield opened
    for client in clients:
        client.close()


@pytest.fixture
def client(udp_server, client_of):
    return client_of(udp_server.url)


@pytest.fixture
def nobody():
    """A URL whose port nobody else can have, and that takes no datagrams of ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.connect(("127.0.0.1", 9))
        yield f"udp://127.0.0.1:{taken.getsockname()[1]}"


def refusal(url):
    return f"cannot reach {url}: connection refused; is the server running there?"


def failures(reports):
    return [(r.name, str(r.exception)) for r in reports if r.exception is not None]


def names(reports):
    return [report.name for report in reports]


def test_a_refused_port_fails_the_request_that_waits_at_once(nobody, client_of, reports):
    client = client_of(nobody)
    for _ in range(2):
        with pytest.raises(ConnectFailed):
            client.request(b"anybody?", timeout=2 * SOON)
    assert failures(reports) == [("request", refusal(nobody))] * 2
    assert names(reports) == ["connect", "request", "request"]


def test_a_refused_port_fails_the_receive_that_waits_at_once(nobody, client_of, reports):
    client = client_of(nobody)
    client.send(b"register me")
    with pytest.raises(ConnectFailed):
        client.receive(timeout=2 * SOON)
    assert failures(reports) == [("receive", refusal(nobody))]


@pytest.mark.parametrize("verb", ["request", "send", "receive"])
@pytest.mark.parametrize("pause", [0, 0.02], ids=["unread", "read"])
def test_a_refusal_that_nobody_waited_for_fails_the_next_call_and_no_other(
    verb, pause, nobody, client_of, reports, until
):
    client = client_of(nobody)
    client.send(b"first")
    if pause:
        until(lambda: client.connection.socket.closed)
    with pytest.raises(ConnectFailed):
        getattr(client, verb)(*([] if verb == "receive" else [b"second"]))
    assert failures(reports) == [(verb, refusal(nobody))]
    client.send(b"third")
    assert failures(reports) == [(verb, refusal(nobody))]
    assert names(reports) == ["connect", "send", verb, "send"]


def test_a_refusal_that_a_send_meets_is_told_to_who_waits_for_a_reply(client_of, udp_server):
    """What was refused was the request, though another greenlet heard of it first."""
    client = client_of(udp_server.url)
    asking = gevent.spawn(client.request, b"quiet", timeout=2 * SOON)
    gevent.sleep(0.01)
    client.connection.socket._refused(ConnectionRefusedError(111, "refused"))
    asking.join(SOON)
    assert isinstance(asking.exception, ConnectFailed)
    assert client.request(b"alive") == b"alive"


def test_a_server_that_ends_and_comes_back_is_found_again(
    datagram_server, free_udp_port, client_of, reports
):
    with datagram_server(free_udp_port) as first:
        client = client_of(first.url)
        assert client.request(b"one") == b"one"
    with pytest.raises(ConnectFailed):
        client.request(b"two")
    with datagram_server(first.port):
        assert client.request(b"three") == b"three"
    assert failures(reports) == [("request", refusal(first.url))]
    assert names(reports) == ["connect", "request", "request", "request"]


def test_a_refusal_leaves_what_came_before_it(datagram_server, client_of, until):
    with datagram_server() as server:
        client = client_of(server.url)
        client.send(b"tell 2")
        until(lambda: len(client.connection.inbox) == 2)
    with pytest.raises(ConnectFailed):
        client.request(b"two")
    assert [client.receive() for _ in range(2)] == [b"0", b"1"]


def test_a_silent_server_is_a_timeout_and_the_next_request_has_another_port(client, reports):
    port = client.request(b"port")
    for _ in range(2):
        began = now()
        with pytest.raises(CallTimeout):
            client.request(b"quiet", timeout=SHORT)
        assert SHORT <= now() - began < SOON
    assert client.request(b"port") != port
    assert failures(reports) == [("request", "no reply within 0.1 s")] * 2
    assert names(reports) == ["connect"] + ["request"] * 4


@pytest.mark.parametrize("pause", [0, 0.8], ids=["before it comes", "after it came"])
def test_a_reply_that_comes_too_late_is_given_to_nobody(client, pause):
    with pytest.raises(CallTimeout):
        client.request(b"sleep 0.6", timeout=SHORT)
    gevent.sleep(pause)
    assert client.request(b"sleep 0.8") == b"sleep 0.8"
    assert client.request(b"next") == b"next"
    with pytest.raises(CallTimeout):
        client.receive(timeout=SHORT)


def test_the_port_of_a_late_reply_is_nobody_elses_meanwhile(client):
    port = int(client.request(b"port"))
    with pytest.raises(CallTimeout):
        client.request(b"quiet", timeout=0.01)
    client.request(b"next")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        with pytest.raises(CallTimeout):
            client.request(b"quiet", timeout=0.01)
        other.bind(("127.0.0.1", port))  # one is kept, not one for each timeout


def test_a_killed_request_leaves_no_reply_for_the_next(client):
    killed = gevent.spawn(client.request, b"sleep 0.6")
    gevent.sleep(0.02)
    killed.kill()
    assert client.request(b"sleep 0.8") == b"sleep 0.8"


def test_a_timeout_of_the_users_own_leaves_no_reply_for_the_next(client, reports):
    with gevent.Timeout(0.05, False):
        client.request(b"sleep 0.6")
    assert client.request(b"sleep 0.8") == b"sleep 0.8"
    assert failures(reports) == [("request", "timed out after 0.05 s")]


def test_a_timeout_of_a_request_does_not_end_the_wait_for_a_push(client):
    listening = gevent.spawn(client.receive, timeout=SOON)
    gevent.sleep(0)
    with pytest.raises(CallTimeout):
        client.request(b"quiet", timeout=0.02)
    client.send(b"a push")
    assert listening.get(timeout=SOON) == b"a push"


def test_a_timeout_of_one_request_does_not_cost_another_its_reply(client):
    late = gevent.spawn(client.request, b"sleep 0.2", match=equals(b"sleep 0.2"))
    gevent.sleep(0)
    with pytest.raises(CallTimeout):
        client.request(b"quiet", timeout=0.02, match=equals(b"quiet"))
    assert late.get(timeout=SOON) == b"sleep 0.2"


@pytest.mark.parametrize("verb", ["request", "send"])
@pytest.mark.parametrize("size", [65_508, 10_000_000])
def test_a_payload_too_large_for_a_datagram(verb, size, client, reports):
    with pytest.raises(ConfigurationError):
        getattr(client, verb)(b"x" * size)
    ((name, reason),) = failures(reports)
    assert name == verb
    assert reason.startswith("the payload does not fit into a datagram, which holds at most 65,507")
    assert client.request(b"alive") == b"alive"


@pytest.mark.parametrize("payload", [5, None, ["a"], {"a": 1}])
def test_what_is_no_payload(payload, client, reports):
    with pytest.raises(ConfigurationError):
        client.request(payload)
    reason = f"a payload is bytes or str, not {type(payload).__name__}"
    assert failures(reports) == [("request", reason)]
    assert client.request(b"alive") == b"alive"


def test_text_that_utf_8_cannot_carry(client, reports):
    with pytest.raises(ConfigurationError, match="half of a surrogate pair"):
        client.send("\ud800")
    assert [name for name, _ in failures(reports)] == ["send"]


def test_a_name_that_does_not_resolve(client_of, reports):
    with pytest.raises(ConnectFailed, match=r"cannot resolve host 'nosuch\.invalid'"):
        client_of("udp://nosuch.invalid:7000")
    assert names(reports) == ["connect"]


def test_a_resolver_that_hangs(client_of, reports, monkeypatch):
    monkeypatch.setattr("protouser.net._resolve._look_up", lambda host, port: gevent.sleep(SOON))
    with pytest.raises(ConnectFailed):
        client_of("udp://slow.test:7000", connect_timeout=0.05)
    reason = (
        "no connection to udp://slow.test:7000 within 0.05 s: the name was not resolved in time"
    )
    assert failures(reports) == [("connect", reason)]


def test_a_broadcast_address(client_of, reports):
    url = "udp://255.255.255.255:7000"
    with pytest.raises(ConnectFailed):
        client_of(url)
    reason = "permission denied; where it is a broadcast address, say broadcast=True"
    assert failures(reports) == [("connect", f"cannot reach {url}: {reason}")]


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("udp://localhost", {}, "udp://localhost names no port; write udp://localhost:7000"),
        ("localhost", {}, "udp://localhost names no port; write udp://localhost:7000"),
        ("udp://localhost:0", {}, "port 0 cannot be connected to"),
        ("udp://localhost:70000", {}, "must be between 1 and 65535"),
        ("tcp://localhost:7000", {}, "UdpClient speaks udp, not 'tcp'"),
        ("udp://", {}, "names no host"),
        ("udp://localhost:1", {"timout": 5}, "did you mean 'timeout'"),
        ("udp://localhost:1", {"framing": None}, "has no option 'framing'"),
        ("udp://localhost:1", {"timeout": 0}, "timeout=0 is no number of seconds above 0"),
        ("udp://localhost:1", {"connect_timeout": "5"}, "connect_timeout='5' is no number"),
    ],
)
def test_a_mistake_in_url_or_options_is_said_before_connecting(url, options, message):
    with pytest.raises(ConfigurationError, match=message):
        UdpClient(url, **options)


def test_a_host_that_nobody_understands_is_said_before_the_load_starts():
    class Astray(UdpUser):
        host = "upd://localhost:7000"

    with pytest.raises(ConfigurationError, match="Astray: no adapter for 'upd'; did you mean"):
        load(Astray, users=1, seconds=0.1)
