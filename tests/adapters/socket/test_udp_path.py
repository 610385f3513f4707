"""Loss, lateness, duplicates, order and jitter of datagrams, and broadcasts."""

from __future__ import annotations

import gevent
import pytest

from protouser import CallTimeout, ConfigurationError, ConnectFailed, attach
from protouser_socket import UdpClient

from .conftest import SOON

#: "sleep 0.1" is a command of the server's, which echoes it, so its text is its id.
TEXT = (lambda request: request, lambda message: message)


@pytest.fixture
def client(udp_server, environment, reports):
    with UdpClient(
        udp_server.url, session=attach(environment), timeout=SOON, correlate=TEXT
    ) as client:
        yield client.open()


def counters(client):
    return {key[2]: n for key, n in client.session.own_figures().counters.items()}


def jitter(client):
    return client.session.own_figures().timed.get(("udp", "request", "jitter", "success"))


def test_a_request_without_a_reply_is_lost_and_the_port_stays(client):
    port = client.request("port", correlate=False)
    with pytest.raises(CallTimeout):
        client.request("quiet", timeout=0.02)
    assert client.request("port", correlate=False) == port
    assert counters(client) == {"lost": 1}


def test_one_that_comes_too_late_is_lost_and_late(client, until):
    with pytest.raises(CallTimeout):
        client.request("sleep 0.5", timeout=0.02)
    until(lambda: "late replies" in counters(client))
    assert counters(client) == {"lost": 1, "late replies": 1}


def test_a_second_reply_is_a_duplicate(client, until):
    assert client.request("twice") == b"twice"
    until(lambda: "duplicate replies" in counters(client))
    assert counters(client) == {"duplicate replies": 1}


def test_a_reply_that_others_overtook_is_reordered(client):
    slow = gevent.spawn(client.request, "sleep 1")
    gevent.sleep(0)
    quick = [gevent.spawn(client.request, f"quick {number}") for number in range(3)]
    gevent.joinall([slow, *quick], timeout=SOON, raise_error=True)
    assert counters(client) == {"reordered": 1}


def test_replies_in_order_are_not(client):
    for number in range(20):
        client.request(f"number {number}")
    assert counters(client) == {}


def test_jitter_is_how_much_the_times_of_two_replies_differ(client):
    client.request("first")
    assert jitter(client) is None
    client.request("sleep 1")
    client.request("third")
    found = jitter(client)
    assert found.count == 2
    assert 0.3e9 < found.minimum <= found.maximum < SOON * 1e9  # up, and down again


def test_requests_without_ids_have_no_jitter_and_a_lost_one_is_counted(client):
    client.request("one", correlate=False)
    client.request("two", correlate=False)
    with pytest.raises(CallTimeout):
        client.request("quiet", correlate=False, timeout=0.02)
    assert jitter(client) is None
    assert counters(client) == {"lost": 1}


def test_a_refused_request_is_not_lost(environment, reports, free_udp_port):
    url = f"udp://127.0.0.1:{free_udp_port}"
    with UdpClient(url, session=attach(environment), timeout=SOON, correlate=TEXT) as client:
        client.open()
        with pytest.raises(ConnectFailed, match="connection refused"):
            client.request("hello")
        assert counters(client) == {}


def test_a_request_that_any_reply_could_be_for_is_alone(client):
    first = gevent.spawn(client.request, "sleep 0.5", correlate=False)
    gevent.sleep(0)
    with pytest.raises(ConfigurationError, match="a request without an id is under way"):
        client.request("second")
    assert first.get(timeout=SOON) == b"sleep 0.5"
    assert client.request("second") == b"second"


def test_a_broadcast_reaches_a_server_and_its_answer_comes_back(
    datagram_server, udp_client_of, until
):
    with datagram_server(host="0.0.0.0") as server:
        client = udp_client_of(f"udp://127.255.255.255:{server.port}", broadcast=True)
        assert client.request(b"who is there") == b"who is there"
        client.send(b"quiet")
        until(lambda: server.received() == 2)
        assert server.peers() == 1


def test_options_of_datagrams(udp_server, udp_client_of):
    client = udp_client_of(udp_server.url, local_address="127.0.0.1:0", receive_buffer=30_000)
    assert client.request(b"hello") == b"hello"
    with pytest.raises(ConfigurationError, match="UdpClient has no option 'tcp_nodelay'"):
        udp_client_of(udp_server.url, tcp_nodelay=True)
    with pytest.raises(ConfigurationError, match="broadcast=1; it is True or False"):
        udp_client_of(udp_server.url, broadcast=1)
