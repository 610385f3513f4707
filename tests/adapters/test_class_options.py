"""Options on a user class that no connection could be made with are refused before the load."""

import locust  # noqa: F401  first: it patches the standard library for gevent

import pytest

from protouser import ConfigurationError, ProtocolUser
from protouser._attach import check_hosts_of
from protouser_grpc import GrpcUser
from protouser_mqtt import MqttUser
from protouser_socket import TcpUser, UdpUser
from protouser_websocket import WebSocketUser

URLS = {
    GrpcUser: "grpc://localhost:1",
    MqttUser: "mqtt://localhost:1",
    TcpUser: "tcp://localhost:1",
    UdpUser: "udp://localhost:1",
    WebSocketUser: "ws://localhost:1",
}

OF_ALL = [
    {"timeout": "5x"},
    {"timeout": 0},
    {"correlate": 3},
    {"unmatched": "drp"},
    {"buffer": 0},
]

OF_ONE = [
    (GrpcUser, {"engine": "fast"}),
    (GrpcUser, {"connection": "own"}),
    (GrpcUser, {"metadata": 3}),
    (MqttUser, {"connect_backoff": 0}),
    (MqttUser, {"connect_timeout": "soon"}),
    (MqttUser, {"keepalive": -1}),
    (TcpUser, {"connect_timeout": "soon"}),
    (TcpUser, {"framing": "lines"}),
    (TcpUser, {"half_close": 1}),
    (UdpUser, {"dns_ttl": -1}),
    (WebSocketUser, {"connect_timeout": -1}),
    (WebSocketUser, {"max_size": 0}),
]


@pytest.mark.parametrize(
    ("base", "body"), [(base, body) for base in URLS for body in OF_ALL] + OF_ONE
)
def test_a_class_is_refused_in_the_words_of_its_client(base, body):
    client_class, url = base.client_class, URLS[base]
    with pytest.raises(ConfigurationError) as opened:
        client_class(url, **body)
    with pytest.raises(ConfigurationError) as refused:
        check_hosts_of([type("Person", (base,), {"host": url, **body})], None)
    assert str(refused.value) == f"Person: {opened.value}"


@pytest.mark.parametrize("base", URLS)
def test_what_a_class_inherits_or_has_for_each_user_is_fine(base):
    body = {"host": URLS[base], "timeout": property(lambda self: 5), "buffer": 7}
    check_hosts_of([type("Person", (base,), body)], None)


def test_options_for_a_client_that_is_found_by_its_scheme_are_looked_at():
    Person = type("Person", (ProtocolUser,), {"host": "tcp://localhost:1", "buffer": 0})
    with pytest.raises(ConfigurationError, match=r"^Person: buffer=0 is no number"):
        check_hosts_of([Person], None)
