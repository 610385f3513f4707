"""The contract of adapters, kept by the client for TCP, TLS and Unix sockets."""

import pytest
import trustme

from protouser.testing import AdapterContract, ScriptedServer


@pytest.fixture(scope="module")
def plain_server():
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder


@pytest.fixture(scope="module")
def tls_server(certificates):
    file = str(certificates / "server.pem")
    with ScriptedServer(cert_file=file, key_file=file) as server:
        yield server


@pytest.fixture(scope="module")
def unix_server(tmp_path_factory):
    with ScriptedServer(path=str(tmp_path_factory.mktemp("unix") / "socket")) as server:
        yield server


def refuse_errors(reply):
    assert reply != b"error", "the server refused"
    return True


class SocketContract(AdapterContract):
    def succeed(self, client, **options):
        return client.request(b"hello", **options)

    def fail(self, client):
        return client.request(b"fail", check=refuse_errors)

    def dawdle(self, client, seconds, **options):
        return client.request(f"sleep {seconds}", **options)

    def one_way(self, client):
        client.send(b"quiet")


class TestTcpContract(SocketContract):
    scheme = "tcp"

    @pytest.fixture
    def url(self, plain_server):
        return plain_server.url


class TestTlsContract(SocketContract):
    scheme = "tls"

    @pytest.fixture
    def url(self, tls_server, certificates):
        self.options = {"ca_file": str(certificates / "ca.pem")}
        return tls_server.url


class TestUnixContract(SocketContract):
    scheme = "unix"

    @pytest.fixture
    def url(self, unix_server):
        return unix_server.url

    def fail(self, client):
        return client.request(b"half")
