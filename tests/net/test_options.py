"""Options of sockets: what the system says of a connected socket, and what is refused before."""

from __future__ import annotations

import gc
import logging
import re
import socket
import sys

import pytest

from protouser import ConfigurationError, ConnectFailed
from protouser.net import SocketOptions, dial, dial_unix, open_stream

SOON = 30.0
TCP = socket.IPPROTO_TCP
ANY = socket.SOL_SOCKET

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is local on Linux only")


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def dialled(listener):
    """Connects with options; what the server sees of it is the second value."""
    opened = []

    def connect(**options):
        address = listener.getsockname()
        sock = dial(*address, timeout=SOON, options=SocketOptions(**options))
        accepted, peer = listener.accept()
        opened.extend([sock, accepted])
        return sock, accepted, peer

    yield connect
    for sock in opened:
        sock.close()
    del opened[:]
    gc.collect()


def test_what_is_not_said_is_the_systems_choice_but_no_delay(dialled, listener):
    sock, _, _ = dialled()
    with socket.create_connection(listener.getsockname()) as plain:
        for level, option in [(ANY, socket.SO_KEEPALIVE), (ANY, socket.SO_SNDBUF)]:
            assert sock.getsockopt(level, option) == plain.getsockopt(level, option)
    assert sock.getsockopt(TCP, socket.TCP_NODELAY) == 1


def test_nagle_can_be_had(dialled):
    sock, _, _ = dialled(tcp_nodelay=False)
    assert sock.getsockopt(TCP, socket.TCP_NODELAY) == 0


@pytest.mark.parametrize(("said", "seconds"), [(True, None), (30, 30), (7.2, 8)])
def test_keepalive_with_the_systems_times_or_others(dialled, said, seconds):
    sock, _, _ = dialled(tcp_keepalive=said)
    assert sock.getsockopt(ANY, socket.SO_KEEPALIVE) == 1
    if seconds and sys.platform == "linux":
        assert sock.getsockopt(TCP, socket.TCP_KEEPIDLE) == seconds
        assert sock.getsockopt(TCP, socket.TCP_KEEPINTVL) == seconds


@on_linux
def test_buffers_are_asked_for(dialled):
    sock, _, _ = dialled(send_buffer=20_000, receive_buffer=30_000)
    # Linux doubles what it is asked for (man 7 socket)
    assert sock.getsockopt(ANY, socket.SO_SNDBUF) == 40_000
    assert sock.getsockopt(ANY, socket.SO_RCVBUF) == 60_000


@on_linux
def test_a_buffer_that_the_system_does_not_give_is_told_once(dialled, caplog):
    with caplog.at_level(logging.WARNING):
        dialled(receive_buffer=2**30)
        dialled(receive_buffer=2**30)
    (record,) = caplog.records
    text = r"receive_buffer=1073741824: the system gives \d+; raise net\.core\.rmem_max"
    assert re.fullmatch(text, record.getMessage())


def test_with_linger_0_the_server_sees_a_reset(dialled):
    sock, accepted, _ = dialled(linger=0)
    sock.close()
    with pytest.raises(ConnectionResetError):
        accepted.recv(1)


def test_without_it_the_server_sees_the_end(dialled):
    sock, accepted, _ = dialled()
    sock.close()
    assert accepted.recv(1) == b""


@on_linux
def test_the_server_sees_the_local_address(dialled):
    _, _, peer = dialled(local_address="127.0.0.2")
    assert peer[0] == "127.0.0.2"


@on_linux
def test_connections_take_turns_among_several_local_addresses(dialled):
    given = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    seen = [dialled(local_address=given)[2][0] for _ in range(6)]
    assert sorted(seen) == sorted(given * 2)
    assert seen[:3] == seen[3:]


@on_linux
def test_a_local_port(dialled, listener):
    with socket.create_server(("127.0.0.2", 0)) as other:
        free = other.getsockname()[1]
    _, _, peer = dialled(local_address=f"127.0.0.2:{free}", linger=0)
    assert peer == ("127.0.0.2", free)
    with pytest.raises(ConnectFailed, match=rf"^local_address 127\.0\.0\.2 has its port {free} in"):
        dial(
            *listener.getsockname(),
            timeout=SOON,
            options=SocketOptions(local_address=f"127.0.0.2:{free}"),
        )


@pytest.mark.parametrize(
    ("local_address", "reason"),
    [
        ("192.0.2.1", r"^local_address 192\.0\.2\.1 is no address of this machine$"),
        ("::1", r"has an address of IPv4, and local_address has none$"),
    ],
)
def test_a_local_address_that_cannot_be_had(listener, local_address, reason):
    options = SocketOptions(local_address=local_address)
    with pytest.raises(ConnectFailed, match=reason):
        dial(*listener.getsockname(), timeout=SOON, options=options)


def test_of_two_families_the_one_that_fits_is_taken(dialled):
    _, _, peer = dialled(local_address=["[::1]:0", "127.0.0.1"])
    assert peer[0] == "127.0.0.1"


def test_a_cooperative_socket_has_them_too(listener):
    options = SocketOptions(tcp_keepalive=True)
    with open_stream(*listener.getsockname(), timeout=SOON, options=options) as sock:
        assert sock.getsockopt(ANY, socket.SO_KEEPALIVE)


def test_a_unix_socket_has_buffers_and_no_tcp(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        options = SocketOptions(send_buffer=20_000, tcp_keepalive=True)
        sock = dial_unix(path, timeout=SOON, options=options)
        assert sock.getsockopt(ANY, socket.SO_SNDBUF) >= 20_000
        sock.close()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"tcp_nodelay": 1}, "tcp_nodelay=1; it is True or False"),
        ({"broadcast": "yes"}, "broadcast='yes'; it is True or False"),
        ({"tcp_keepalive": 0}, "tcp_keepalive=0; it is True, False or a number of seconds"),
        ({"tcp_keepalive": 40_000}, "1 to 32767"),
        ({"linger": 5}, "linger=5; it is 0, to reset .*, or None; a close that waits would stop"),
        ({"linger": False}, "linger=False; it is 0"),
        ({"send_buffer": 0}, "send_buffer=0; it is a number of bytes above 0"),
        ({"receive_buffer": 2**31}, "receive_buffer=2147483648; it is a number of bytes"),
        ({"receive_buffer": 1.5}, r"receive_buffer=1\.5"),
        ({"dns_ttl": -1}, "dns_ttl=-1; it is a number of seconds, 0 to ask for each"),
        ({"dns_ttl": float("nan")}, "dns_ttl=nan"),
        ({"local_address": "localhost"}, "local_address='localhost'; it is an IP address of this"),
        ({"local_address": "127.0.0.1:70000"}, "local_address='127.0.0.1:70000'"),
        ({"local_address": "127.0.0.1:x"}, "local_address="),
        ({"local_address": []}, r"local_address=\[\]"),
        ({"local_address": ["127.0.0.1", 7]}, "local_address=7"),
        ({"local_address": 7}, "local_address=7"),
    ],
)
def test_a_value_that_cannot_be_is_a_configuration_error(options, reason):
    with pytest.raises(ConfigurationError, match=reason):
        SocketOptions.of(options)


def test_of_a_clients_options_it_takes_those_it_knows():
    assert SocketOptions.of({"framing": 1, "linger": 0}) == SocketOptions(linger=0)
    assert SocketOptions.of({}) == SocketOptions()
