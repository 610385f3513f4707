"""A datagram socket: whole messages by callback, refusals, a busy network, and no leftovers."""

from __future__ import annotations

import _socket
import socket

import gevent
import pytest

from protouser import CallTimeout, ConfigurationError, ConnectFailed, ConnectionLost, now
from protouser.net import DatagramSocket, open_datagram
from protouser.net import _datagram as module

SOON = 30.0


class Listening:
    """Notes what a socket says."""

    def __init__(self):
        self.datagrams = []
        self.refusals = []

    def on_datagram(self, data, at):
        assert abs(now() - at) < SOON
        self.datagrams.append(data)

    def on_refusal(self, error):
        self.refusals.append(str(error))


@pytest.fixture
def listening():
    return Listening()


@pytest.fixture
def peer():
    """The other end, a plain socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(SOON)
        yield peer


@pytest.fixture
def opened(listening, peer):
    opened = open_datagram(listening, "127.0.0.1", peer.getsockname()[1], timeout=SOON)
    yield opened
    opened.close()


@pytest.fixture
def refused():
    """A port that nobody else can have, and that takes no datagrams: connected to another peer."""
    sock = _socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.connect(("127.0.0.1", 9))
    yield sock.getsockname()[1]
    sock.close()


@pytest.fixture
def clogged(tmp_path, listening):
    """A socket that takes no more until its peer reads: the queue of a Unix socket fills up."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.bind(str(tmp_path / "peer"))
    sock = DatagramSocket(socket.AF_UNIX, str(tmp_path / "peer"), listening, peer="unix")
    count = 0
    while sock._sent(b"x"):
        count += 1
    yield sock, peer, count
    sock.close()
    peer.close()


def until(condition):
    deadline = now() + SOON
    while not condition():
        assert now() < deadline
        gevent.sleep(0.005)


def there_and_back(opened, peer):
    opened.send(b"there")
    data, address = peer.recvfrom(100)
    assert data == b"there"
    return address


def test_datagrams_go_both_ways_whole_and_may_be_empty(opened, peer, listening):
    largest = b"x" * 65_507
    opened.send(largest)
    opened.send(b"")
    data, address = peer.recvfrom(70_000)
    assert data == largest
    assert peer.recv(100) == b""
    for message in (b"one", b"", largest):
        peer.sendto(message, address)
    until(lambda: len(listening.datagrams) == 3)
    assert listening.datagrams == [b"one", b"", largest]


def test_only_the_peer_is_heard(opened, peer, listening):
    address = there_and_back(opened, peer)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"hello, I am the server", address)
    peer.sendto(b"I am", address)
    until(lambda: listening.datagrams)
    assert listening.datagrams == [b"I am"]


def test_what_has_arrived_can_be_had_before_the_hub_runs(opened, peer, listening):
    address = there_and_back(opened, peer)
    for number in range(3):
        peer.sendto(b"%d" % number, address)
    assert listening.datagrams == []
    opened.drain()
    assert listening.datagrams == [b"0", b"1", b"2"]


def test_a_name_is_looked_up_and_marked(listening, peer):
    marks = []
    port = peer.getsockname()[1]
    opened = open_datagram(listening, "localhost", port, timeout=SOON, mark=marks.append)
    assert marks == ["dns"]
    there_and_back(opened, peer)
    opened.close()


def test_addresses_of_ipv4_come_first(monkeypatch, listening, peer):
    address = peer.getsockname()
    found = [(socket.AF_INET6, ("::1", address[1], 0, 0)), (socket.AF_INET, address)]
    monkeypatch.setattr(module, "resolve", lambda *_, **__: found)
    opened = open_datagram(listening, "both.test", address[1], timeout=SOON)
    there_and_back(opened, peer)
    opened.close()


def test_an_address_without_a_way_to_it_leaves_the_next(monkeypatch, listening, peer):
    address = peer.getsockname()
    found = [(socket.AF_INET, ("255.255.255.255", 9)), (socket.AF_INET, address)]
    monkeypatch.setattr(module, "resolve", lambda *_, **__: found)
    opened = open_datagram(listening, "two.test", address[1], timeout=SOON)
    there_and_back(opened, peer)
    opened.close()


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("nosuch.invalid", r"cannot resolve host 'nosuch\.invalid': .*; check the name"),
        (
            "255.255.255.255",
            r"cannot reach udp://255\.255\.255\.255:7: permission denied; where",
        ),
    ],
)
def test_a_host_that_cannot_be_reached_is_named(listening, host, reason):
    with pytest.raises(ConnectFailed, match=reason):
        open_datagram(listening, host, 7, timeout=SOON)


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_cannot_be_is_refused(listening, port):
    with pytest.raises(ConfigurationError, match="between 1 and 65535"):
        open_datagram(listening, "127.0.0.1", port, timeout=SOON)


def test_a_refused_datagram_is_told_by_callback_and_the_socket_lives(listening, refused):
    opened = open_datagram(listening, "127.0.0.1", refused, timeout=SOON)
    for count in (1, 2):
        opened.send(b"anybody?")
        until(lambda: len(listening.refusals) == count)  # noqa: B023
    reason = "connection refused; is the server running there?"
    assert listening.refusals == [f"cannot reach udp://127.0.0.1:{refused}: {reason}"] * 2
    opened.close()


def test_a_refusal_that_the_next_send_meets_is_raised_there(listening, refused):
    opened = open_datagram(listening, "127.0.0.1", refused, timeout=SOON)
    opened.send(b"anybody?")
    with pytest.raises(ConnectFailed, match="connection refused"):
        opened.send(b"anybody?")
    assert len(listening.refusals) == 1
    opened.close()


def test_a_datagram_that_is_too_large_says_how_large_it_may_be(opened, peer, listening):
    with pytest.raises(ConfigurationError, match="at most 65,507 bytes over IPv4"):
        opened.send(b"x" * 65_508)
    there_and_back(opened, peer)
    assert listening.refusals == []


def test_a_renewed_socket_has_another_port_while_the_retired_keeps_its_own(opened, peer, listening):
    before = there_and_back(opened, peer)
    opened.retire()
    renewed = opened.renewed()
    assert there_and_back(renewed, peer) != before
    peer.sendto(b"too late", before)
    peer.sendto(b"in time", renewed._sock.getsockname())
    until(lambda: listening.datagrams)
    assert listening.datagrams == [b"in time"]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        pytest.raises(OSError, match="in use"),
    ):
        other.bind(before)
    with pytest.raises(ConnectionLost, match="was closed here"):
        opened.send(b"more")
    renewed.close()


def test_a_busy_network_makes_a_sender_wait(clogged):
    sock, peer, count = clogged
    sending = [gevent.spawn(sock.send, b"%d" % number, SOON) for number in range(2)]
    gevent.sleep(0.01)
    assert not any(greenlet.ready() for greenlet in sending)
    received = [peer.recv(10) for _ in range(count + 2)]
    gevent.joinall(sending, timeout=SOON, raise_error=True)
    assert sorted(received[count:]) == [b"0", b"1"]


def test_a_network_that_stays_busy_is_a_timeout(clogged):
    sock, _, _ = clogged
    with pytest.raises(
        CallTimeout, match=r"^not sent within 0\.05 s: this machine's network takes"
    ):
        sock.send(b"x", 0.05)


def test_the_hub_never_waits_for_the_network(clogged):
    sock, _, _ = clogged
    raised = []

    def send_in_the_hub():
        try:
            sock.send(b"x")
        except CallTimeout as error:
            raised.append(str(error))

    gevent.get_hub().loop.run_callback(send_in_the_hub)
    until(lambda: raised)
    assert raised == ["not sent at once: this machine's network takes no more"]


def test_a_deadline_of_the_senders_own_goes_through(clogged):
    sock, peer, count = clogged
    with gevent.Timeout(0.05, False):
        sock.send(b"x", SOON)
    assert [peer.recv(10) for _ in range(count)] == [b"x"] * count
    sock.send(b"y", SOON)
    assert peer.recv(10) == b"y"


def test_closing_wakes_who_waits_for_the_network(clogged):
    sock, _, _ = clogged
    sending = gevent.spawn(sock.send, b"x")
    gevent.sleep(0.01)
    sock.close()
    sending.join(SOON)
    assert isinstance(sending.exception, ConnectionLost)


def test_closing_twice_is_harmless_and_frees_the_port(listening, peer):
    opened = open_datagram(listening, "127.0.0.1", peer.getsockname()[1], timeout=SOON)
    address = opened._sock.getsockname()
    opened.close()
    opened.close()
    assert (opened.closed, opened.fileno()) == (True, -1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(address)
