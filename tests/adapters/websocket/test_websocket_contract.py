"""The contract of adapters, kept by the client for WebSocket, plain and in TLS."""

import pytest

from protouser.testing import AdapterContract


def refuse_errors(reply):
    assert reply != "error", "the server refused"
    return True


class WebSocketContract(AdapterContract):
    def succeed(self, client, **options):
        return client.request("hello", **options)

    def fail(self, client):
        return client.request("fail", check=refuse_errors)

    def dawdle(self, client, seconds, **options):
        return client.request(f"sleep {seconds}", **options)

    def one_way(self, client):
        client.send("quiet")


class TestWebSocketContract(WebSocketContract):
    scheme = "ws"

    @pytest.fixture
    def url(self, server):
        return server.url("/")


class TestTlsContract(WebSocketContract):
    scheme = "wss"

    @pytest.fixture
    def url(self, server, certificates):
        self.options = {"ca_file": str(certificates / "ca.pem")}
        return server.url("/", "wss")
