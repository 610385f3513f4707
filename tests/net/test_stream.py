"""Sockets for libraries that read and write themselves: connected, trusted, cooperative."""

from __future__ import annotations

import _socket

import gevent
import pytest

from protouser import ConfigurationError, ConnectFailed
from protouser.net import TlsOptions, open_stream
from protouser.testing import ScriptedServer

SOON = 30.0


def exchange(sock):
    sock.sendall(b"hello\n")
    return sock.recv(100)


def test_a_plain_socket_is_connected_and_has_no_time_limit():
    marks = []
    with (
        ScriptedServer() as server,
        open_stream(server.host, server.port, timeout=SOON, mark=marks.append) as sock,
    ):
        assert exchange(sock) == b"hello\n"
        assert sock.gettimeout() is None
    assert marks == ["tcp"]


def test_with_tls_the_handshake_is_done(certificates):
    marks = []
    with ScriptedServer(cert_file=certificates.server) as server:
        tls = TlsOptions(ca_file=certificates.ca_file)
        address = (server.host, server.port)
        with open_stream(*address, timeout=SOON, tls=tls, mark=marks.append) as sock:
            assert exchange(sock) == b"hello\n"
            assert sock.gettimeout() is None
    assert marks == ["tcp", "tls"]


def test_while_one_waits_others_run():
    with ScriptedServer() as server, open_stream(server.host, server.port, timeout=SOON) as sock:
        reader = gevent.spawn(sock.recv, 100)
        gevent.sleep(0)
        assert not reader.ready()
        sock.sendall(b"hello\n")
        assert reader.get(timeout=SOON) == b"hello\n"


def test_an_untrusted_certificate_reads_as_it_does_on_every_socket(certificates):
    with ScriptedServer(cert_file=certificates.server) as server:
        with pytest.raises(ConnectFailed) as caught:
            open_stream(server.host, server.port, timeout=SOON, tls=TlsOptions())
        assert str(caught.value) == (
            f"cannot trust {server.url}: unable to get local issuer certificate;"
            " pass ca_file=... or verify=False"
        )


def test_a_server_that_speaks_no_tls_is_named():
    with ScriptedServer() as server, pytest.raises(ConnectFailed, match="no TLS handshake with"):
        open_stream(server.host, server.port, timeout=1.5, tls=TlsOptions(verify=False))


@pytest.fixture
def silent():
    """A server that takes connections and says nothing."""
    listener = _socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    yield listener.getsockname()
    listener.close()


def test_a_handshake_has_the_time_limit_of_the_whole(silent):
    with pytest.raises(ConnectFailed, match=r"within 1 s; does the server speak TLS there\?"):
        open_stream(*silent, timeout=1, tls=TlsOptions(verify=False))


def test_a_deadline_of_the_users_own_is_not_taken_for_ours(silent):
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.1):
        open_stream(*silent, timeout=SOON, tls=TlsOptions(verify=False))


def test_a_missing_file_is_said_before_anything_is_sent():
    with pytest.raises(ConfigurationError, match="ca_file '/nowhere' cannot be used"):
        open_stream("127.0.0.1", 1, timeout=SOON, tls=TlsOptions(ca_file="/nowhere"))
