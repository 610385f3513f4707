"""Where a proxy is asked for, what is refused, and that no password is shown."""

from __future__ import annotations

from locust import HttpUser, task
from locust.contrib.fasthttp import FastHttpUser

import sys

import pytest

from protouser import ConfigurationError, ProtocolUser, ProxyMixin, open_client
from protouser._attach import check_hosts_of
from protouser.net import Proxy
from protouser.testing import load
from protouser_socket import TcpUser, UdpUser

SECRET = "Tr0ub4dor"


class Plain(TcpUser):
    host = "tcp://127.0.0.1:7000"


class Datagrams(UdpUser):
    host = "udp://127.0.0.1:7000"


@pytest.mark.parametrize(
    ("kind", "wanted", "reason"),
    [
        (Plain, f"https://u:{SECRET}@localhost:1", "TLS to the proxy itself"),
        (Plain, f"ftp://u:{SECRET}@localhost:1", "a proxy is one of"),
        (Plain, f"socks5://:{SECRET}@localhost:1", "user name and password, or neither"),
        (Plain, f"http://u:{SECRET}@localhost:x", "is not a number"),
        (Datagrams, "http://localhost:1", "proxy = 'direct'"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(kind, wanted, reason):
    with pytest.raises(ConfigurationError, match=reason) as general:
        check_hosts_of([kind], None, wanted)
    with pytest.raises(ConfigurationError, match=reason) as own:
        check_hosts_of([type(kind.__name__, (kind,), {"proxy": wanted})], None)
    assert SECRET not in f"{general.value!r} {own.value!r}"


def test_unix_sockets_are_refused_too():
    with pytest.raises(ConfigurationError, match="cannot go through a proxy"):
        open_client("unix:///nowhere", proxy="http://localhost:1")


def test_a_class_that_says_direct_is_left_alone():
    check_hosts_of([type("Direct", (Datagrams,), {"proxy": "direct"})], None, "http://localhost:1")
    check_hosts_of([type("Here", (Plain,), {"no_proxy": ["127.0.0.1"]})], None, "socks5://h:1")


def test_an_http_user_without_the_mixin_is_named():
    class Web(HttpUser):
        host = "http://localhost"

    with pytest.raises(ConfigurationError, match=r"Web.*ProxyMixin"):
        check_hosts_of([Web], None, "http://localhost:1")
    check_hosts_of([type("Fine", (ProxyMixin, Web), {})], None, "http://localhost:1")


@pytest.mark.parametrize(
    ("base", "reason"),
    [(HttpUser, r"pip install 'protouser\[socks\]'"), (FastHttpUser, "FastHttpUser has no SOCKS")],
)
def test_socks_that_an_http_user_lacks_is_said_at_the_start(base, reason, monkeypatch):
    monkeypatch.setitem(sys.modules, "socks", None)
    web = type("Web", (ProxyMixin, base), {"host": "http://localhost"})
    with pytest.raises(
        ConfigurationError, match=f"Web: .*u:\\*\\*\\*@localhost:1.*{reason}"
    ) as error:
        check_hosts_of([web], None, f"socks5h://u:{SECRET}@localhost:1")
    assert SECRET not in str(error.value)


def test_set_after_connecting_is_an_error(ports):
    told = []

    class Late(TcpUser):
        host = f"tcp://127.0.0.1:{ports['tcp']}"

        @task
        def late(self):
            for name, owner in (("proxy", self), ("proxies", self.client)):
                try:
                    setattr(owner, name, "http://localhost:1")
                except ConfigurationError as error:
                    told.append(str(error))
            self.stop()

    load(Late, users=1, seconds=60)
    assert len(told) == 2
    assert all("prepare()" in text for text in told)


def test_prepare_decides_for_its_user(ports, proxy_named):
    chosen = []

    class Early(ProtocolUser):
        host = f"tcp://127.0.0.1:{ports['tcp']}"

        def prepare(self):
            self.proxy = proxy_named("pproxy").url("http")

        @task
        def talk(self):
            chosen.append((str(self.client.proxy), self.client.request(b"hello")))
            self.stop()

    load(Early, users=1, seconds=60)
    assert chosen == [(f"the proxy {proxy_named('pproxy').url('http')}", b"hello")]


def test_the_environment_is_asked_only_if_wanted(monkeypatch):
    from protouser import Url

    for name in ("http_proxy", "https_proxy", "all_proxy", "mqtt_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://tls.example:3128")
    monkeypatch.setenv("mqtt_proxy", "socks5h://mqtt.example")
    monkeypatch.setenv("ALL_PROXY", "all.example:8000")
    monkeypatch.setenv("NO_PROXY", "internal.example")

    def chosen(url, wanted="env"):
        proxy = Proxy.choose(wanted, None, Url.parse(url))
        return proxy and str(proxy.url)

    assert chosen("wss://a.example:1") == "http://tls.example:3128"
    assert chosen("mqtt://a.example:1") == "socks5h://mqtt.example:1080"
    assert chosen("tcp://a.example:1") == "http://all.example:8000"
    assert chosen("tcp://x.internal.example:1") is None
    assert chosen("tcp://a.example:1", None) is None


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_run_shows_no_password(scheme, run_locust, ports):
    text = f"""
        from locust import task
        from protouser_socket import TcpUser

        class Talker(TcpUser):
            host = "tcp://127.0.0.1:{ports["tcp"]}"

            @task
            def talk(self):
                self.client.request(b"hello")
    """
    wanted = f"{scheme}://tester:{SECRET}@127.0.0.1:1"
    run = run_locust(
        text, "-u", "1", "-t", "2s", "--loglevel", "DEBUG", "--protouser-proxy", wanted
    )
    shown = run.stdout + run.stderr + repr(run.stats)
    assert f"the proxy {scheme}://tester:***@127.0.0.1:1" in shown
    assert SECRET not in shown
