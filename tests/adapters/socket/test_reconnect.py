"""Coming back: one attempt for all who need it, and not as fast as the machine can."""

from __future__ import annotations

import _socket
import contextlib

import gevent
import pytest

from protouser import ConfigurationError, ConnectFailed, ConnectionLost, attach, now
from protouser.testing import ScriptedServer
from protouser_socket import TcpClient

SOON = 30.0  # only a hang takes longer


@pytest.fixture
def silent():
    """A port whose backlog is full: connecting to it gets no answer."""
    listener = _socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    host, port = listener.getsockname()
    waiting = [_socket.socket() for _ in range(2)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex((host, port))
    yield f"tcp://{host}:{port}"
    for sock in (*waiting, listener):
        sock.close()


@pytest.fixture
def refused():
    taken = _socket.socket()
    taken.bind(("127.0.0.1", 0))
    yield "tcp://{}:{}".format(*taken.getsockname())
    taken.close()


def client_of(url, environment, **options):
    return TcpClient(url, session=attach(environment), **options)


def connects(reports):
    return [str(report.exception) for report in reports if report.name == "connect"]


def test_who_waits_for_the_attempt_of_another_shares_its_failure(silent, environment, reports):
    client = client_of(silent, environment, timeout=0.2)
    callers = [gevent.spawn(client.request, b"hello") for _ in range(6)]
    gevent.joinall(callers, timeout=SOON)
    errors = {caller.exception for caller in callers}
    assert connects(reports) == [f"no connection to {silent} within 0.2 s"]
    assert len(errors) == 1
    assert isinstance(errors.pop(), ConnectFailed)


def test_a_dead_server_is_not_asked_as_fast_as_the_machine_can(
    refused, environment, reports, until
):
    client = client_of(refused, environment)

    def ask_without_end():
        while True:
            with contextlib.suppress(ConnectFailed):
                client.request(b"hello")

    began = now()
    asking = gevent.spawn(ask_without_end)
    until(lambda: len(connects(reports)) >= 4)
    asking.kill()
    assert now() - began >= 0.35, "at least half of 0.1, 0.2 and 0.4 s lie between the four"


@pytest.mark.parametrize("method", ["request", "receive"])
def test_nor_is_one_that_takes_connections_and_closes_them_at_once(
    method, environment, reports, until
):
    arguments = [b"hello"] if method == "request" else []
    with ScriptedServer("close") as server, client_of(server.url, environment) as client:

        def ask_without_end():
            while True:
                with contextlib.suppress(ConnectionLost):
                    getattr(client, method)(*arguments)

        began = now()
        asking = gevent.spawn(ask_without_end)
        until(lambda: len(connects(reports)) >= 5)
        asking.kill()
    # the second is made at once
    assert now() - began >= 0.35, "at least half of 0.1, 0.2 and 0.4 s lie before the others"


def test_a_server_that_closes_after_each_reply_is_not_waited_for(environment, reports):
    with ScriptedServer() as server, client_of(server.url, environment) as client:
        for _ in range(30):
            assert client.request(b"hello", timeout=SOON) == b"hello"
            with contextlib.suppress(ConnectionLost):
                client.request(b"close", timeout=SOON)
        assert client._failed == 0
    assert connects(reports) == ["None"] * 30


def test_the_first_attempt_after_a_loss_is_made_at_once(environment, reports):
    with ScriptedServer() as server:
        client = client_of(server.url, environment, timeout=SOON)
        for _ in range(3):
            client.request(b"hello")
            client.close()
    assert connects(reports) == ["None"] * 3


@pytest.mark.parametrize("timeout", ["5", -1, [], "never"])
def test_a_timeout_that_is_no_number_of_seconds_is_said_before_anything_is_sent(
    environment, reports, timeout
):
    with ScriptedServer() as server, client_of(server.url, environment) as client:
        for method in (client.send, client.request):
            with pytest.raises(ConfigurationError, match="is no number of seconds"):
                method(b"hello", timeout=timeout)
        assert client.request(b"hello", timeout=SOON) == b"hello"
    assert [report.name for report in reports] == ["connect", "request"]
