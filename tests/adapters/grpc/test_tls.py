"""gRPC over TLS: who is trusted, by which name, and who has to show a certificate."""

from __future__ import annotations

from locust.env import Environment

import pytest

from protouser import ConfigurationError, ConnectFailed, attach
from protouser.testing import capture
from protouser_grpc import GrpcClient

HELLO = "test.Greeter/SayHello"
SOON = 30.0  # only a hang takes longer


@pytest.fixture(params=["aio", "gevent"])
def opened(request):
    """Opens a client, calls with it, closes it; what failed comes with the exception."""
    environment = Environment()

    def greet(url, **options):
        client = GrpcClient(
            url, session=attach(environment), engine=request.param, timeout=SOON, **options
        )
        with client:
            return client.open().call(HELLO, {"name": "you"}).message

    with capture(environment) as reports:
        greet.reports = reports
        yield greet


def test_a_certificate_of_a_known_authority(opened, greeter_tls, certificates):
    assert opened(greeter_tls.url, ca_file=str(certificates / "ca.pem")) == "Hello, you"
    assert [(report.name, report.exception) for report in opened.reports] == [
        ("connect", None),
        (HELLO, None),
    ]


@pytest.mark.parametrize("ca_file", [None, "stranger.pem"])
def test_a_certificate_of_an_unknown_authority(opened, greeter_tls, certificates, ca_file):
    options = {"ca_file": str(certificates / ca_file)} if ca_file else {}
    with pytest.raises(ConnectFailed, match=r"cannot trust grpcs://.*; pass ca_file=\.\.\.$"):
        opened(greeter_tls.url, **options)
    assert [report.name for report in opened.reports] == ["connect"]


def test_a_certificate_for_another_name(opened, greeter_tls, certificates):
    ca_file = str(certificates / "ca.pem")
    with pytest.raises(ConnectFailed, match=r"made out to another name; pass server_name=\.\.\.$"):
        opened(greeter_tls.url, ca_file=ca_file, server_name="other.example")
    assert opened(greeter_tls.url, ca_file=ca_file, server_name="localhost") == "Hello, you"


def test_a_server_that_asks_for_a_certificate(opened, make_greeter, certificates):
    ca_file = str(certificates / "ca.pem")
    server = make_greeter("--tls", str(certificates / "server.pem"), "--client-ca", ca_file)
    with pytest.raises(ConnectFailed, match=r"ask for a client certificate\? pass cert=.* key="):
        opened(server.url, ca_file=ca_file)
    cert = str(certificates / "client.pem")
    assert opened(server.url, ca_file=ca_file, cert=cert) == "Hello, you"
    assert opened(server.url, ca_file=ca_file, cert=cert, key=cert) == "Hello, you"


def test_a_certificate_without_its_key(opened, greeter_tls, certificates):
    ca_file = str(certificates / "ca.pem")
    with pytest.raises(ConfigurationError, match=r"holds no key; pass key=\.\.\. as well"):
        opened(greeter_tls.url, ca_file=ca_file, cert=ca_file)
    with pytest.raises(ConfigurationError, match=r"key=\.\.\. is of no use without cert="):
        opened(greeter_tls.url, ca_file=ca_file, key=str(certificates / "client.pem"))
