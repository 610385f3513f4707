"""TLS: who is trusted, what a mismatch looks like, and that records and messages do not mix."""

from __future__ import annotations

import _socket
import contextlib
import os
import socket
import ssl

import gevent
import pytest
from cryptography.hazmat.primitives import serialization
from gevent.event import Event

from protouser._call import now
from protouser._errors import (
    CallTimeout,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    MalformedMessage,
)
from protouser._inbox import Inbox
from protouser.net import TlsOptions, TlsSession, TlsSocket, open_socket
from protouser.testing import ScriptedServer

SOON = 30.0
BIG = 3 * 1024 * 1024


class Lines:
    """A receiver that cuts lines, into an inbox."""

    def __init__(self):
        self.inbox = Inbox()
        self.rest = b""
        self.closed = Event()
        self.error = None
        self.late = False

    def on_data(self, data, at):
        self.late = self.late or self.closed.is_set()
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.inbox.deliver(line, at)

    def on_close(self, error):
        self.error = error
        self.inbox.end(error)
        self.closed.set()


@pytest.fixture(autouse=True)
def no_descriptor_is_left(certificates):
    gevent.get_hub()
    before = len(os.listdir("/proc/self/fd"))
    yield
    until(lambda: len(os.listdir("/proc/self/fd")) <= before)


@pytest.fixture
def server(no_descriptor_is_left, certificates):
    with ScriptedServer(cert_file=certificates.server) as server:
        yield server


def until(condition):
    deadline = now() + SOON
    while not condition():
        assert now() < deadline
        gevent.sleep(0.005)


def opened(server, timeout=SOON, mark=lambda phase: None, **options):
    receiver = Lines()
    sock = open_socket(
        receiver, server.host, server.port, timeout=timeout, tls=TlsOptions(**options), mark=mark
    )
    return sock, receiver


def test_a_trusted_server_is_spoken_to_and_the_phases_are_marked(server, certificates):
    marks = []
    sock, receiver = opened(server, mark=marks.append, ca_file=certificates.ca_file)
    sock.send(b"hello\n")
    assert receiver.inbox.get(SOON)[0] == b"hello"
    assert marks == ["tcp", "tls"]
    sock.close()


def test_the_time_of_arrival_is_taken_when_the_bytes_came(server, certificates):
    sock, receiver = opened(server, ca_file=certificates.ca_file)
    before = now()
    sock.send(b"hello\n")
    assert before < receiver.inbox.get(SOON)[1] < now()
    sock.close()


def test_large_messages_of_several_greenlets_arrive_whole(server, certificates):
    sock, receiver = opened(server, ca_file=certificates.ca_file)
    messages = [bytes([65 + number]) * (BIG // 3) for number in range(3)]
    senders = [gevent.spawn(sock.send, message + b"\n", SOON) for message in messages]
    assert [receiver.inbox.get(SOON)[0] for _ in messages] == messages
    gevent.joinall(senders, raise_error=True)
    sock.close()


def test_an_untrusted_certificate_names_server_reason_and_remedy(server):
    with pytest.raises(ConnectFailed) as caught:
        opened(server)
    assert str(caught.value) == (
        f"cannot trust {server.url}: unable to get local issuer certificate;"
        " pass ca_file=... or verify=False"
    )
    assert "self" not in str(caught.value)


def test_verify_false_trusts_anybody(server):
    sock, receiver = opened(server, verify=False)
    sock.send(b"hello\n")
    assert receiver.inbox.get(SOON)[0] == b"hello"
    sock.close()


def test_a_certificate_for_another_name_is_refused_and_server_name_helps(certificates):
    with ScriptedServer(cert_file=certificates.other) as server:
        with pytest.raises(
            ConnectFailed, match=r"cannot trust .* pass server_name=\.\.\. or verify"
        ):
            opened(server, ca_file=certificates.ca_file)
        sock, receiver = opened(server, ca_file=certificates.ca_file, server_name="other.test")
        sock.send(b"hello\n")
        assert receiver.inbox.get(SOON)[0] == b"hello"
        sock.close()


def test_a_plain_server_that_answers_something_else_is_no_tls_server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def greet():
            accepted, _ = listener.accept()
            accepted.sendall(b"220 welcome, this is plain text\r\n")
            accepted.recv(1000)
            accepted.close()

        greeting = gevent.spawn(greet)
        with pytest.raises(ConnectFailed) as caught:
            open_socket(Lines(), "127.0.0.1", port, timeout=SOON, tls=TlsOptions())
        greeting.get(timeout=SOON)
    assert str(caught.value).startswith(f"no TLS handshake with tls://127.0.0.1:{port}: ")
    assert str(caught.value).endswith("does the server speak TLS there?")


def test_a_server_that_is_silent_in_the_handshake_is_a_failure_in_time():
    with ScriptedServer("silent") as server:
        began = now()
        with pytest.raises(
            ConnectFailed, match=r"^no TLS handshake with tls://.* within 1 s; does"
        ):
            opened(server, timeout=1)
        assert 1 <= now() - began < SOON


def test_a_server_that_closes_in_the_handshake_is_a_failure():
    with (
        ScriptedServer("close") as server,
        pytest.raises(ConnectFailed, match=r"no TLS handshake with tls://.*connection"),
    ):
        opened(server)


def test_a_plain_client_at_a_tls_server_is_answered_by_a_tls_alert(server):
    receiver = Lines()
    sock = open_socket(receiver, server.host, server.port, timeout=SOON)
    sock.send(b"hello hello hello\n")
    assert receiver.closed.wait(SOON)
    assert receiver.rest[:2] in (b"\x15\x03", b"")
    assert sock.closed


def test_a_greenlet_killed_in_the_handshake_leaves_no_socket():
    with ScriptedServer("silent") as server:
        opening = gevent.spawn(opened, server)
        gevent.sleep(0.05)
        opening.kill()
        assert isinstance(opening.value, gevent.GreenletExit)


def test_a_server_that_demands_a_certificate_gets_one(certificates):
    seen = []

    def serve(listener, context):
        accepted, _ = listener.accept()
        try:
            with context.wrap_socket(accepted, server_side=True) as sock:
                seen.append(sock.getpeercert())
                sock.sendall(b"welcome\n")
                sock.recv(100)
        except ssl.SSLError as error:
            seen.append(error)
            accepted.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    context.load_verify_locations(certificates.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    for options, welcome in (({"cert": certificates.client}, True), ({}, False)):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = gevent.spawn(serve, listener, context)
            receiver = Lines()
            sock = open_socket(
                receiver,
                *listener.getsockname(),
                timeout=SOON,
                tls=TlsOptions(ca_file=certificates.ca_file, **options),
            )
            if welcome:
                assert receiver.inbox.get(SOON)[0] == b"welcome"
            else:
                with pytest.raises(ConnectionLost, match=r"was lost: TLS: .*certificate required"):
                    receiver.inbox.get(SOON)
            sock.close()
            serving.get(timeout=SOON)
    assert seen[0]["subjectAltName"]
    assert isinstance(seen[1], ssl.SSLError)


def test_what_comes_together_with_the_end_of_the_handshake_is_not_forgotten(certificates):
    """A server that talks first: its message and session tickets may be read in the handshake."""

    def serve(listener, context):
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True) as sock:
            sock.sendall(b"welcome\n")
            sock.recv(100)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for _ in range(5):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = gevent.spawn(serve, listener, context)
            receiver = Lines()
            tls = TlsOptions(ca_file=certificates.ca_file)
            sock = open_socket(receiver, *listener.getsockname(), timeout=SOON, tls=tls)
            assert receiver.inbox.get(SOON)[0] == b"welcome"
            sock.close()
            serving.get(timeout=SOON)


@pytest.fixture
def talkative(no_descriptor_is_left, certificates):
    """A socket for which two records had come by the end of the handshake; no luck involved."""
    theirs_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs_context.load_cert_chain(certificates.server)
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = theirs_context.wrap_bio(to_them, to_us, server_side=True)
    ours = TlsOptions(verify=False).context().wrap_bio(to_us, to_them, server_hostname="x")
    for _ in range(3):
        for end in (ours, theirs):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    theirs.write(b"welcome\n")
    theirs.write(b"stranger\n")
    raw, peer = _socket.socketpair()
    raw.setblocking(False)
    receiver = Lines()
    session = TlsSession(ours, to_us, to_them)
    sock = TlsSocket(raw, receiver, peer="tls://x:1", session=session)
    yield sock, receiver
    sock.close()
    peer.close()


def test_bytes_left_over_from_the_handshake_are_decrypted_without_an_event(talkative):
    _, receiver = talkative
    assert receiver.inbox.get(SOON)[0] == b"welcome"
    assert receiver.inbox.get(SOON)[0] == b"stranger"


def test_nothing_is_delivered_after_user_code_has_closed_in_between(talkative):
    sock, receiver = talkative
    receiver.inbox.deliver = lambda message, at: sock.close()
    assert receiver.closed.wait(SOON)
    gevent.sleep(0)
    assert not receiver.late


def test_closing_says_goodbye_to_the_server(certificates):
    outcome = []

    def serve(listener, context):
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True, suppress_ragged_eofs=False) as sock:
            outcome.append(sock.recv(100))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = gevent.spawn(serve, listener, context)
        tls = TlsOptions(ca_file=certificates.ca_file)
        open_socket(Lines(), *listener.getsockname(), timeout=SOON, tls=tls).close()
        serving.get(timeout=SOON)
    assert outcome == [b""], "an orderly end, not one that looks like an attack"


@pytest.mark.parametrize("command", [b"close\n", b"drop\n"])
def test_the_server_ending_the_connection_is_told_once(server, certificates, command):
    sock, receiver = opened(server, ca_file=certificates.ca_file)
    sock.send(command)
    assert receiver.closed.wait(SOON)
    assert (receiver.error is None) == (command == b"close\n")
    assert sock.closed


def test_what_the_receiver_raises_comes_back_to_it(server, certificates):
    sock, receiver = opened(server, ca_file=certificates.ca_file)

    def refuse(message, at):
        raise MalformedMessage("nonsense")

    receiver.inbox.deliver = refuse
    sock.send(b"hello\n")
    assert receiver.closed.wait(SOON)
    assert str(receiver.error) == "nonsense"


def test_a_server_that_does_not_read_is_a_timeout_and_ends_the_connection(certificates):
    with ScriptedServer("unread", cert_file=certificates.server) as server:
        sock, _ = opened(server, ca_file=certificates.ca_file)
        with pytest.raises(CallTimeout, match=r"not sent within 0\.2 s"):
            sock.send(b"x" * (4 * BIG), 0.2)
        assert sock.closed


def test_an_encrypted_message_cannot_be_taken_back_so_giving_up_ends_the_connection(certificates):
    with ScriptedServer("unread", cert_file=certificates.server) as server:
        sock, _ = opened(server, ca_file=certificates.ca_file)
        first = gevent.spawn(sock.send, b"x" * (4 * BIG))
        gevent.sleep(0)
        with pytest.raises(CallTimeout):
            sock.send(b"y", 0.02)
        first.join(SOON)
        assert isinstance(first.exception, ConnectionLost)
        assert sock.closed


def test_user_code_may_close_in_the_middle_of_what_was_decrypted(server, certificates):
    sock, receiver = opened(server, ca_file=certificates.ca_file)

    def reads_one_and_closes():
        receiver.inbox.get(SOON)
        sock.close()

    reader = gevent.spawn(reads_one_and_closes)
    gevent.sleep(0)
    sock.send(b"tell 1000\n")
    reader.get(timeout=SOON)
    gevent.sleep(0.01)
    assert receiver.closed.is_set()


def test_the_same_options_share_a_context_and_others_do_not(certificates):
    options = TlsOptions(ca_file=certificates.ca_file)
    assert options.context() is TlsOptions(ca_file=certificates.ca_file, server_name="x").context()
    assert options.context() is not TlsOptions(verify=False).context()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ca_file": "/nowhere.pem"}, r"ca_file '/nowhere\.pem' cannot be used: No such file"),
        ({"ca_file": __file__}, r"ca_file .*test_tls\.py' cannot be used: no certificate"),
        ({"cert": "/nowhere.pem"}, "cert or key .* cannot be used: No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_configuration_error_before_connecting(options, message):
    with pytest.raises(ConfigurationError, match=message):
        open_socket(Lines(), "127.0.0.1", 1, timeout=SOON, tls=TlsOptions(**options))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(tmp_path, certificates):
    with open(certificates.client, "rb") as file:
        pem = file.read()
    key = serialization.load_pem_private_key(pem, None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "key.pem").write_bytes(encrypted)
    with pytest.raises(ConfigurationError, match="the key is encrypted"):
        TlsOptions(cert=certificates.client, key=str(tmp_path / "key.pem")).context()


def test_the_application_protocol_is_negotiated(certificates):
    def serve(listener, context):
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True) as sock:
            sock.recv(100)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    context.set_alpn_protocols(["h2"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = gevent.spawn(serve, listener, context)
        tls = TlsOptions(ca_file=certificates.ca_file, alpn=("h2", "http/1.1"))
        sock = open_socket(Lines(), *listener.getsockname(), timeout=SOON, tls=tls)
        assert sock.alpn == "h2"
        sock.close()
        serving.get(timeout=SOON)
