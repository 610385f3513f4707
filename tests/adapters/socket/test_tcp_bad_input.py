"""The TCP client and a server in trouble: one failure that says where and why, no leftovers."""

from __future__ import annotations

import _socket
import os
import socket

import gevent
import pytest
import trustme

from protouser import CallTimeout, ConnectFailed, ConnectionLost, MalformedMessage, attach, now
from protouser.testing import ScriptedServer
from protouser_socket import TcpClient, length_prefix, lines

SOON = 30.0  # only a hang takes longer
SHORT = 0.2


@pytest.fixture
def client_of(environment, reports, nothing_held):
    """Opens clients, closes them afterwards, and then finds nothing that was not there before."""
    clients = []

    def opened(url, **options):
        options.setdefault("timeout", SOON)
        client = TcpClient(url, session=attach(environment), **options)
        clients.append(client)
        return client.open()

    yield opened
    for client in clients:
        client.close()


@pytest.fixture
def scripted(request):
    """A server that was there before the client and outlives it."""
    with ScriptedServer(request.param) as server:
        yield server


@pytest.fixture
def echo():
    with ScriptedServer() as server:
        yield server


def failures(reports):
    return [(r.name, str(r.exception)) for r in reports if r.exception is not None]


def test_a_refused_port(client_of, reports):
    bound = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.bind(("127.0.0.1", 0))
    url = f"tcp://127.0.0.1:{bound.getsockname()[1]}"
    with pytest.raises(ConnectFailed):
        client_of(url)
    bound.close()
    expected = f"cannot connect to {url}: connection refused; is the server running there?"
    assert failures(reports) == [("connect", expected)]


def test_a_name_that_does_not_resolve(client_of, reports):
    with pytest.raises(ConnectFailed, match=r"cannot resolve host 'nosuch\.invalid'"):
        client_of("tcp://nosuch.invalid:7000")
    assert [name for name, _ in failures(reports)] == ["connect"]


def test_a_server_that_never_answers_the_connection(client_of, reports):
    server = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    fillers = [_socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(8)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(server.getsockname())
    url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    began = now()
    with pytest.raises(ConnectFailed):
        client_of(url, connect_timeout=SHORT)
    assert now() - began < SOON
    assert failures(reports) == [("connect", f"no connection to {url} within 0.2 s")]
    for sock in (server, *fillers):
        sock.close()


@pytest.mark.parametrize("scripted", ["silent"], indirect=True)
def test_a_silent_server_is_a_timeout_and_the_next_call_connects_anew(scripted, client_of, reports):
    client = client_of(scripted.url)
    for _ in range(2):
        began = now()
        with pytest.raises(CallTimeout):
            client.request(b"hello", timeout=SHORT)
        assert SHORT <= now() - began < SOON
    assert failures(reports) == [("request", "no reply within 0.2 s")] * 2
    assert [report.name for report in reports] == ["connect", "request"] * 2
    until(lambda: scripted.accepted() == 2)


@pytest.mark.parametrize("scripted", ["late"], indirect=True)
def test_a_reply_that_comes_too_late_is_never_given_to_the_next_request(scripted, client_of):
    client = client_of(scripted.url)
    with pytest.raises(CallTimeout):
        client.request(b"first", timeout=SHORT)
    gevent.sleep(0.6)
    assert client.request(b"second") == b"second"
    assert client.request(b"third") == b"third"


def test_a_killed_request_leaves_no_reply_for_the_next(echo, client_of):
    client = client_of(echo.url)
    killed = gevent.spawn(client.request, b"sleep 90")
    until(lambda: echo.received() == 1)
    killed.kill()
    assert client.request(b"next") == b"next"
    assert echo.accepted() == 2


def test_a_timeout_of_the_users_own_leaves_no_reply_for_the_next(echo, client_of, reports):
    client = client_of(echo.url)
    with gevent.Timeout(0.05, False):
        client.request(b"sleep 90")
    assert client.request(b"next") == b"next"
    assert failures(reports) == [("request", "timed out after 0.05 s")]


def test_one_greenlets_timeout_is_told_to_the_others_on_its_connection(echo, client_of, reports):
    client = client_of(echo.url)
    impatient = gevent.spawn(client.request, b"sleep 90", timeout=0.05)
    patient = gevent.spawn(client.request, b"patient")
    gevent.joinall([impatient, patient], timeout=SOON)
    assert isinstance(impatient.exception, CallTimeout)
    assert isinstance(patient.exception, ConnectionLost)
    assert "a call on it got no reply" in str(patient.exception)
    both = [gevent.spawn(client.request, text) for text in (b"a", b"b")]
    gevent.joinall(both, timeout=SOON)
    assert [greenlet.value for greenlet in both] == [b"a", b"b"]
    assert [report.name for report in reports].count("connect") == 2, "they share the new one"


@pytest.mark.parametrize("scripted", ["close"], indirect=True)
def test_a_server_that_closes_at_once(scripted, client_of, reports):
    client = client_of(scripted.url)
    with pytest.raises(ConnectionLost):
        client.request(b"hello")
    ((name, reason),) = failures(reports)
    assert name == "request"
    lost = f"the connection to {scripted.url} was lost: "
    assert reason == f"{scripted.url} closed the connection" or reason.startswith(lost)


def test_the_end_while_waiting_is_a_lost_connection(echo, client_of, reports):
    client = client_of(echo.url)
    with pytest.raises(ConnectionLost):
        client.request(b"close")
    assert failures(reports) == [("request", f"{echo.url} closed the connection")]
    assert client.request(b"again") == b"again"


def test_a_reset_while_waiting_is_a_lost_connection(echo, client_of, reports):
    client = client_of(echo.url)
    with pytest.raises(ConnectionLost):
        client.request(b"drop")
    assert failures(reports) == [
        ("request", f"the connection to {echo.url} was lost: connection reset by peer")
    ]


def test_an_orderly_end_between_two_requests_is_no_failure(echo, client_of, reports):
    client = client_of(echo.url)
    client.send(b"close")
    until_closed(client)
    assert client.request(b"again") == b"again"
    assert failures(reports) == []
    assert [report.name for report in reports] == ["connect", "send", "connect", "request"]


def test_an_orderly_end_is_told_to_whoever_waits_for_a_push(echo, client_of, reports):
    client = client_of(echo.url)
    client.send(b"close")
    until_closed(client)
    with pytest.raises(ConnectionLost):
        client.receive()
    assert failures(reports) == [("receive", f"{echo.url} closed the connection")]
    client.request(b"tell 2")
    assert client.receive() == b"1"


def test_a_reset_told_to_whoever_waits_for_a_push_is_over_with_that(echo, client_of, reports):
    client = client_of(echo.url)
    client.send(b"drop")
    with pytest.raises(ConnectionLost, match="connection reset by peer"):
        client.receive()
    assert client.request(b"again") == b"again"
    assert len(failures(reports)) == 1


def test_a_reset_between_two_requests_is_told_to_the_next_and_then_over(echo, client_of, reports):
    client = client_of(echo.url)
    client.send(b"drop")
    until_closed(client)
    with pytest.raises(ConnectionLost, match="connection reset by peer"):
        client.request(b"hello")
    assert client.request(b"again") == b"again"
    assert len(failures(reports)) == 1


def test_a_message_that_nobody_asked_for_is_not_taken_for_a_reply(echo, client_of):
    client = client_of(echo.url)
    client.request(b"tell 2")
    until(lambda: len(client.connection.inbox) == 1)
    assert client.request(b"hello") == b"hello"
    assert client.receive() == b"1"


@pytest.mark.parametrize("scripted", ["half"], indirect=True)
@pytest.mark.parametrize("framing", [lines()])
def test_half_a_message_and_then_the_end(scripted, framing, client_of, reports):
    client = client_of(scripted.url, framing=framing)
    with pytest.raises(MalformedMessage):
        client.request(b"hello")
    assert failures(reports) == [("request", "the connection ended in the middle of a message")]


@pytest.mark.parametrize("scripted", ["garbage"], indirect=True)
def test_bytes_without_end_are_malformed_beyond_the_limit(scripted, client_of, reports):
    client = client_of(scripted.url, framing=lines(limit=1000))
    with pytest.raises(MalformedMessage, match="limit of 1000 bytes; is the framing the server's"):
        client.request(b"hello")
    assert len(failures(reports)) == 1


@pytest.mark.parametrize("scripted", ["garbage"], indirect=True)
def test_a_length_prefix_that_cannot_be_is_malformed(scripted, client_of, reports):
    client = client_of(scripted.url, framing=length_prefix())
    with pytest.raises(
        MalformedMessage, match=r"announces more than .* is the framing the server's"
    ):
        client.request(b"hello\n")
    assert len(failures(reports)) == 1


@pytest.mark.parametrize("scripted", ["unread"], indirect=True)
def test_a_server_that_does_not_read_is_a_timeout(scripted, client_of, reports):
    client = client_of(scripted.url)
    with pytest.raises(CallTimeout):
        client.send(b"x" * 30_000_000, timeout=SHORT)
    assert failures(reports) == [("send", f"not sent within 0.2 s: {scripted.url} does not read")]


@pytest.mark.parametrize("scripted", ["silent", "garbage", "close"], indirect=True)
def test_a_plain_server_at_a_tls_url(scripted, client_of, reports):
    url = scripted.url.replace("tcp", "tls")
    began = now()
    with pytest.raises(ConnectFailed):
        client_of(url, connect_timeout=1)  # time to connect in
    assert now() - began < SOON
    ((name, reason),) = failures(reports)
    assert name == "connect"
    assert reason.startswith(f"no TLS handshake with {url}")


def test_a_tls_server_at_a_plain_url(client_of, reports, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    with ScriptedServer(cert_file=str(tmp_path / "server.pem")) as server:
        client = client_of(server.url.replace("tls", "tcp"))
        with pytest.raises(ConnectionLost):
            client.request(b"hello, is this plain text?")
        with pytest.raises(ConnectFailed, match=r"cannot trust .* pass ca_file=\.\.\. or verify"):
            client_of(server.url)
    assert [name for name, _ in failures(reports)] == ["request", "connect"]


@pytest.mark.parametrize("framing", [lines(), length_prefix()])
def test_a_tls_alert_at_a_plain_url_is_recognised(framing, client_of):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            accepted, _ = listener.accept()
            accepted.recv(100)
            accepted.sendall(bytes.fromhex("15030100020246"))
            accepted.close()

        serving = gevent.spawn(serve)
        client = client_of(f"tcp://127.0.0.1:{listener.getsockname()[1]}", framing=framing)
        with pytest.raises(MalformedMessage, match=r"answers in TLS; write tls:// for tcp://$"):
            client.request(b"hello")
        serving.get(timeout=SOON)


def test_a_server_that_comes_back_is_found_again(client_of, reports, tmp_path):
    path = str(tmp_path / "s")
    with ScriptedServer(path=path) as first:
        client = client_of(first.url)
        assert client.request(b"one") == b"one"
    for _ in range(2):
        with pytest.raises((ConnectFailed, ConnectionLost)):
            client.request(b"two")
    os.unlink(path)
    with ScriptedServer(path=path):
        assert client.request(b"three") == b"three"
        client.close()
    names = [report.name for report in reports if report.exception is not None]
    assert set(names) <= {"connect", "request"}


def until(condition):
    deadline = now() + SOON
    while not condition():
        assert now() < deadline
        gevent.sleep(0.005)


def until_closed(client):
    until(lambda: client.connection.socket.closed)
