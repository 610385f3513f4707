"""Every adapter through every proxy that suits it; the proxy's own log says that it was used."""

from __future__ import annotations

from locust import HttpUser
from locust.contrib.fasthttp import FastHttpUser

import logging
import re

import pytest

from protouser import ConnectFailed, ProxyMixin, attach
from protouser._registry import client_class_for

from .conftest import PASSWORD, USER, eventually

CONNECTS = {"tcp", "tls", "ws", "wss", "mqtt", "mqtts", "grpc", "grpcs"}
OPEN = (
    ("tinyproxy", "http"),
    ("microsocks", "socks5"),
    ("microsocks", "socks5h"),
    ("dante", "socks5"),
    ("dante", "socks4"),
    ("pproxy", "http"),
    ("pproxy", "socks5h"),
    ("pproxy", "socks4"),
)
WITH_PASSWORD = (
    ("tinyproxy_auth", "http"),
    ("microsocks_auth", "socks5"),
    ("proxy_py", "http"),
    ("pproxy_auth", "http"),
    ("pproxy_auth", "socks5"),
)
ROUTES = [(name, scheme, None) for name, scheme in OPEN]
ROUTES += [(name, scheme, PASSWORD) for name, scheme in WITH_PASSWORD]


@pytest.fixture
def opened(environment, reports, ports, certificates):
    """Opens a client, and closes it afterwards."""
    clients = []

    def open_one(scheme, proxy, **options):
        options = {"timeout": 60.0, "session": attach(environment), **options}
        if scheme in ("tls", "wss", "mqtts", "grpcs"):
            options["ca_file"] = str(certificates / "ca.pem")
        url = f"{scheme}://127.0.0.1:{ports[scheme]}"
        client = client_class_for(url)(url, proxy=proxy, **options)
        clients.append(client)
        return client.open()

    yield open_one
    for client in clients:
        client.close()


def exchange(scheme, client):
    """One call that the server answers."""
    if scheme.startswith("grpc"):
        assert client.channel.unary_unary("/echo/Echo")(b"hello") == b"hello"
    elif scheme.startswith("mqtt"):
        assert client.publish("greetings", b"hello", qos=1) is not None
    else:
        payload = "hello" if scheme.startswith("ws") else b"hello"
        assert client.request(payload) == payload


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]}-{route[1]}")
@pytest.mark.parametrize("scheme", sorted(CONNECTS))
def test_through(scheme, route, proxy_named, opened, ports, reports):
    name, proxy_scheme, password = route
    proxy = proxy_named(name)
    logged = len(proxy.read())
    client = opened(scheme, proxy.url(proxy_scheme, password and USER, password))
    exchange(scheme, client)
    client.close()  # proxy.py writes its log when a connection ends
    place = re.compile(rf"127\.0\.0\.1[:.]{ports[scheme]}\b")
    eventually(lambda: place.search(proxy.read()[logged:]), f"not in the log of {name}")
    assert [report.exception for report in reports] == [None] * len(reports)
    assert reports[0].name == "connect"
    if not scheme.startswith("grpc"):
        series = client.session.figures
        assert (client.protocol, "connect", "proxy") in phases(series)


@pytest.mark.parametrize("route", WITH_PASSWORD, ids=lambda route: f"{route[0]}-{route[1]}")
@pytest.mark.parametrize("given", ["wrong", None])
@pytest.mark.parametrize("scheme", ["tcp", "wss", "mqtt", "grpc"])
def test_wrong_credentials(scheme, given, route, proxy_named, opened, ports, reports, caplog):
    name, proxy_scheme = route
    proxy = proxy_named(name)
    with caplog.at_level(logging.DEBUG), pytest.raises(ConnectFailed) as failure:
        opened(scheme, proxy.url(proxy_scheme, given and USER, given and "Wr0ng"))
    assert [report.name for report in reports] == ["connect"]
    text = str(failure.value)
    assert f":{proxy.port}" in text
    assert re.search("user name and password|closed the connection|as for credentials", text), text
    assert "Wr0ng" not in text + repr(failure.value) + caplog.text + repr(reports)


@pytest.mark.parametrize("proxy_scheme", ["http", "socks5", "socks4"])
@pytest.mark.parametrize("scheme", sorted(CONNECTS))
def test_dead_port(scheme, proxy_scheme, opened, dead_port):
    dead = f"{proxy_scheme}://127.0.0.1:{dead_port}"
    with pytest.raises(ConnectFailed) as failure:
        opened(scheme, dead)
    assert str(failure.value) == (
        f"cannot connect to the proxy {dead}: connection refused; is the server running there?"
    )


@pytest.mark.parametrize(
    "route",
    [("tinyproxy", "http"), ("microsocks", "socks5"), ("dante", "socks4"), ("pproxy", "http")],
    ids=lambda route: f"{route[0]}-{route[1]}",
)
@pytest.mark.parametrize("scheme", ["tcp", "grpc"])
def test_a_server_that_is_not_there(
    scheme, route, proxy_named, opened, ports, dead_port, monkeypatch
):
    name, proxy_scheme = route
    proxy = proxy_named(name)
    monkeypatch.setitem(ports, scheme, dead_port)
    with pytest.raises(ConnectFailed) as failure:
        opened(scheme, proxy.url(proxy_scheme))
    assert f"the proxy {proxy.url(proxy_scheme)}" in str(failure.value)


HTTP = [("tinyproxy", "http", None), ("proxy_py", "http", PASSWORD), ("pproxy", "http", None)]
SOCKS = [  # only for HttpUser: FastHttpUser has none
    ("microsocks", "socks5", None),
    ("microsocks_auth", "socks5h", PASSWORD),
    ("dante", "socks4", None),
]
WEB = [(base, route) for base in (HttpUser, FastHttpUser) for route in HTTP]
WEB += [(HttpUser, route) for route in SOCKS]


@pytest.mark.parametrize(
    ("base", "route"), WEB, ids=[f"{base.__name__}-{route[0]}-{route[1]}" for base, route in WEB]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_http_users(scheme, base, route, proxy_named, environment, reports, ports, certificates):
    name, proxy_scheme, password = route
    running = proxy_named(name)

    class Web(ProxyMixin, base):
        host = f"{scheme}://127.0.0.1:{ports[scheme]}"
        proxy = running.url(proxy_scheme, password and USER, password)
        ca_file = str(certificates / "ca.pem")

    logged = len(running.read())
    user = Web(environment)
    assert user.client.get("/").text == "hello"
    assert [report.exception for report in reports] == [None]
    reports.clear()  # a response holds the pool of its connection, which is closed with the pool
    close(user)
    place = re.compile(rf"127\.0\.0\.1[:.]{ports[scheme]}\b")
    eventually(lambda: place.search(running.read()[logged:]), f"not in the log of {name}")


@pytest.mark.parametrize("base", [HttpUser, FastHttpUser])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_http_users_with_wrong_credentials(
    scheme, base, proxy_named, environment, reports, ports, certificates
):
    class Web(ProxyMixin, base):
        host = f"{scheme}://127.0.0.1:{ports[scheme]}"
        proxy = proxy_named("proxy_py").url("http", USER, "Wr0ng")
        ca_file = str(certificates / "ca.pem")

    user = Web(environment)
    try:
        user.client.get("/")
        failure = reports[0].exception
    except RuntimeError as error:  # FastHttpUser lets it out
        failure = error
    close(user)
    assert "407" in str(failure)
    assert "Wr0ng" not in f"{failure!r} {failure} {reports}"


def test_the_slower_engine_of_grpc(proxy_named, opened):
    for name, proxy_scheme in (("tinyproxy", "http"), ("microsocks", "socks5")):
        proxy = proxy_named(name)
        exchange("grpc", opened("grpc", proxy.url(proxy_scheme), engine="gevent"))


def close(user):
    """End the connections, which Locust keeps."""
    if isinstance(user, FastHttpUser):
        user.client.client.clientpool.close()
    else:
        user.client.close()


def phases(figures):
    return {key[:3] for key in figures.timed}
