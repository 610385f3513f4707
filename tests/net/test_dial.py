"""Connecting: every way in which it can fail says where and why, in time, and leaves nothing."""

from __future__ import annotations

import _socket
import errno
import os
import socket

import gevent
import pytest

from protouser._call import now
from protouser._errors import ConfigurationError, ConnectFailed
from protouser.net import _dial as dial_module
from protouser.net import _resolve as resolve_module
from protouser.net import dial, dial_unix

SOON = 30.0


@pytest.fixture(autouse=True)
def no_descriptor_is_left():
    before = {*os.listdir("/proc/self/fd")}
    yield
    deadline = now() + SOON
    while not {*os.listdir("/proc/self/fd")} <= before:
        assert now() < deadline
        gevent.sleep(0.005)


@pytest.fixture
def listener(no_descriptor_is_left):
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def deaf(no_descriptor_is_left):
    """The address of a server whose backlog is full, so that a connection is never answered."""
    server = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    fillers = []
    for _ in range(8):
        filler = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        filler.setblocking(False)
        filler.connect_ex(server.getsockname())
        fillers.append(filler)
    yield server.getsockname()
    for sock in [server, *fillers]:
        sock.close()


@pytest.fixture
def refused(no_descriptor_is_left):
    """A port that is bound, so nobody else can have it, and on which nobody listens."""
    server = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("127.0.0.1", 0))
    yield server.getsockname()[1]
    server.close()


def resolving_to(monkeypatch, *addresses):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    monkeypatch.setattr(resolve_module, "_look_up", lambda host, port: found)


def test_the_result_is_a_raw_non_blocking_socket_without_delay(listener):
    marks = []
    sock = dial("127.0.0.1", listener.getsockname()[1], timeout=SOON, mark=marks.append)
    assert type(sock) is _socket.socket
    assert sock.gettimeout() == 0.0
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert marks == ["tcp"]  # a numeric address is not looked up
    sock.close()


def test_a_name_is_resolved(listener):
    dial("localhost", listener.getsockname()[1], timeout=SOON).close()


def test_a_refused_port_says_so_and_asks_whether_the_server_runs(refused):
    expected = (
        f"cannot connect to tcp://127.0.0.1:{refused}: connection refused;"
        " is the server running there?"
    )
    with pytest.raises(ConnectFailed) as caught:
        dial("127.0.0.1", refused, timeout=SOON)
    assert str(caught.value) == expected


def test_the_peer_is_named_as_the_caller_names_it(refused):
    with pytest.raises(ConnectFailed, match="cannot connect to mqtt://me@broker: "):
        dial("127.0.0.1", refused, timeout=SOON, peer="mqtt://me@broker")


@pytest.mark.parametrize("host", ["nosuch.invalid", "a" * 64 + ".invalid", "with space"])
def test_a_name_that_does_not_resolve_is_named(host):
    with pytest.raises(ConnectFailed, match=rf"^cannot resolve host '{host}': .*; check the name$"):
        dial(host, 1, timeout=SOON)


def test_a_server_that_does_not_answer_is_a_failure_within_the_time_limit(deaf):
    began = now()
    with pytest.raises(
        ConnectFailed, match=r"^no connection to tcp://127\.0\.0\.1:\d+ within 0\.2 s$"
    ):
        dial(*deaf, timeout=0.2)
    assert 0.19 <= now() - began < SOON


def test_a_resolver_that_hangs_is_a_failure_within_the_time_limit(monkeypatch):
    monkeypatch.setattr(resolve_module, "_look_up", lambda host, port: gevent.sleep(SOON))
    with pytest.raises(ConnectFailed, match=r"within 0\.05 s: the name was not resolved in time$"):
        dial("slow.test", 1, timeout=0.05)


def test_an_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch, deaf, listener):
    resolving_to(monkeypatch, deaf, listener.getsockname())
    sock = dial("both.test", 1, timeout=3.0)
    assert sock.getpeername() == listener.getsockname()
    sock.close()


def test_every_address_gets_a_share_of_the_time(monkeypatch):
    shares = []

    def refuse(family, address, deadline, *_):
        shares.append(deadline.seconds)
        raise TimeoutError

    resolving_to(monkeypatch, "first", "second", "third")
    monkeypatch.setattr(dial_module, "_connect", refuse)
    with pytest.raises(ConnectFailed, match=r"within 9 s$"):
        dial("many.test", 1, timeout=9)
    assert [round(share) for share in shares] == [3, 4, 9]


def test_when_every_address_fails_the_last_reason_is_told(monkeypatch, deaf, refused):
    resolving_to(monkeypatch, deaf, ("127.0.0.1", refused))
    with pytest.raises(
        ConnectFailed, match=r"cannot connect to tcp://both.test:1: connection refused"
    ):
        dial("both.test", 1, timeout=3.0)


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_that_cannot_be_is_a_configuration_error(port):
    with pytest.raises(ConfigurationError, match="is not between 1 and 65535"):
        dial("127.0.0.1", port, timeout=SOON)


def test_running_out_of_descriptors_says_what_to_raise(monkeypatch):
    def no_more(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(dial_module, "RawSocket", no_more)
    with pytest.raises(ConnectFailed, match=r"too many open files; raise the limit .* ulimit -n$"):
        dial("127.0.0.1", 1, timeout=SOON)


def test_a_connection_of_a_port_to_itself_counts_as_refused(monkeypatch):
    class SelfConnected:
        family, type = socket.AF_INET, socket.SOCK_STREAM

        def __init__(self, *_):
            self.closed = False

        def __getattr__(self, name):
            return lambda *_: 0

    monkeypatch.setattr(dial_module, "RawSocket", SelfConnected)
    with pytest.raises(ConnectFailed, match="connection refused"):
        dial("127.0.0.1", 1, timeout=SOON)


def test_a_killed_greenlet_leaves_no_socket(deaf):
    dialling = gevent.spawn(dial, *deaf, timeout=SOON)
    gevent.sleep(0.01)
    dialling.kill()
    assert isinstance(dialling.value, gevent.GreenletExit)


def test_a_timeout_of_the_users_own_is_passed_on(deaf):
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.02):
        dial(*deaf, timeout=SOON)


def test_a_timeout_of_the_users_own_while_resolving_is_passed_on(monkeypatch):
    monkeypatch.setattr(resolve_module, "_look_up", lambda host, port: gevent.sleep(SOON))
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.02):
        dial("slow.test", 1, timeout=SOON)


def test_without_a_time_limit_it_connects_too(listener):
    dial("127.0.0.1", listener.getsockname()[1], timeout=None).close()


def test_a_unix_socket_is_reached_by_its_path(tmp_path):
    marks, path = [], str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        dial_unix(path, timeout=SOON, mark=marks.append).close()
    assert marks == ["tcp"]


def test_a_missing_unix_socket_is_named(tmp_path):
    with pytest.raises(ConnectFailed, match=r"cannot connect to unix:///.*/s: no such file .*path"):
        dial_unix(str(tmp_path / "s"), timeout=SOON)


def test_a_unix_path_that_is_too_long_is_a_failure_not_a_crash(tmp_path):
    with pytest.raises(ConnectFailed, match="too long"):
        dial_unix(str(tmp_path / ("s" * 200)), timeout=SOON)


def test_a_unix_server_that_does_not_accept_is_a_failure_in_time(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        first = dial_unix(path, timeout=SOON)
        with pytest.raises(ConnectFailed, match=r"no connection to unix://.* within 0\.05 s"):
            dial_unix(path, timeout=0.05)
        first.close()
