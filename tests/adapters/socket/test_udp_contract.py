"""The contract of adapters, kept by the client for UDP."""

import pytest

from protouser.testing import AdapterContract


def refuse_errors(reply):
    assert reply != b"error", "the server refused"
    return True


class TestUdpContract(AdapterContract):
    scheme = "udp"
    unsupported = {
        "refusal": "connecting sends nothing, so whether somebody is there shows with the first"
        " datagram",
        "loss": "there is no connection that could end: silence is all that a client notices",
    }

    @pytest.fixture
    def url(self, udp_server):
        return udp_server.url

    def succeed(self, client, **options):
        return client.request(b"hello", **options)

    def fail(self, client):
        return client.request(b"fail", check=refuse_errors)

    def dawdle(self, client, seconds, **options):
        return client.request(f"sleep {seconds}", **options)

    def one_way(self, client):
        client.send(b"quiet")
