"""Runs of Locust whose users ask for their proxy in each way there is, over two workers."""

from __future__ import annotations

import json
import re

from .conftest import PASSWORD, USER, eventually

LOCUSTFILE = """
from locust import constant, events, task
from locust.runners import MasterRunner
import gevent
from protouser_grpc import GrpcUser
from protouser_mqtt import MqttUser
from protouser_socket import TcpUser
from protouser_websocket import WebSocketUser


class ByOption(TcpUser):
    host = "tcp://127.0.0.1:{tcp}"
    fixed_count = 2
    wait_time = constant(0.1)

    @task
    def talk(self):
        self.client.request(b"hello")


class ByVariable(WebSocketUser):
    host = "ws://127.0.0.1:{ws}"
    proxy = "env"
    fixed_count = 2
    wait_time = constant(0.1)

    @task
    def talk(self):
        self.client.request("hello")


class PastIt(MqttUser):
    host = "mqtt://127.0.0.1:{mqtt}"
    no_proxy = ["localhost", "127.0.0.1"]
    fixed_count = 2
    wait_time = constant(0.1)

    @task
    def talk(self):
        self.client.publish("greetings", b"hello", qos=1)


class Caller(GrpcUser):
    host = "grpc://127.0.0.1:{grpc}"
    fixed_count = 2
    wait_time = constant(0.1)

    @task
    def talk(self):
        self.client.channel.unary_unary("/echo/Echo")(b"hello")


class EachHisOwn(TcpUser):
    host = "tls://127.0.0.1:{tls}"
    ca_file = {ca!r}
    fixed_count = 2
    wait_time = constant(0.1)

    def prepare(self):
        self.proxy = {own!r}

    @task
    def talk(self):
        self.client.request(b"hello", name="over TLS")


@events.test_start.add_listener
def end_when_all_have_called(environment, **_):
    def counted(type_, name):
        return environment.stats.get(name, type_).num_requests

    def all_have_called():
        connects = [counted(type_, "connect") for type_ in ("tcp", "ws", "mqtt", "grpc")]
        return connects == [4, 2, 2, 2] and all(counted(*row) >= 10 for row in {rows!r})

    def wait():
        while not all_have_called():
            gevent.sleep(0.1)
        environment.runner.quit()

    if isinstance(environment.runner, MasterRunner):
        gevent.spawn(wait)
"""
ROWS = {
    ("tcp", "request"),
    ("tcp", "over TLS"),
    ("ws", "request"),
    ("mqtt", "publish greetings"),
    ("grpc", "echo/Echo"),
}


def test_every_way_to_ask_holds_on_every_worker(
    run_locust, ports, proxy_named, certificates, monkeypatch, tmp_path
):
    names = {"tcp": "tinyproxy_auth", "ws": "microsocks", "tls": "pproxy"}
    proxies = {scheme: proxy_named(name) for scheme, name in names.items()}
    logged = {scheme: len(proxy.read()) for scheme, proxy in proxies.items()}

    def times(scheme, port):
        text = proxies[scheme].read()[logged[scheme] :]
        return len(re.findall(rf"127\.0\.0\.1[:.]{ports[port]}\b", text))

    monkeypatch.setenv("ws_proxy", proxies["ws"].url("socks5"))
    own = proxies["tls"].url("socks5h")
    file = LOCUSTFILE.format(ca=str(certificates / "ca.pem"), own=own, rows=ROWS, **ports)
    wanted = proxies["tcp"].url("http", USER, PASSWORD)
    options = ["--protouser-proxy", wanted, "--protouser-trace", "all"]
    run = run_locust(
        file, "--processes", "2", "-u", "10", "-r", "10", "-t", "90s", *options, timeout=200
    )
    assert run.exit_code == 0, run.stderr
    assert {(row["method"], row["name"]) for row in run.stats} >= ROWS
    assert sum(row["num_failures"] for row in run.stats) == 0
    for scheme in proxies:
        eventually(
            lambda scheme=scheme: times(scheme, scheme) >= 2, f"{scheme} passed its proxy by"
        )
        assert times(scheme, "mqtt") == 0
        others = [other for other in proxies if other != scheme]
        assert [times(scheme, other) for other in others] == [0, 0]
    assert times("tcp", "grpc") > 0
    lines = (tmp_path / "protouser-trace.jsonl").read_text().splitlines()
    traces = [json.loads(line) for line in lines]
    assert len({trace["worker"] for trace in traces}) == 2
    through = {trace["to"].partition(" through ")[2] for trace in traces if trace["to"]}
    urls = {wanted.replace(PASSWORD, "***"), own, proxies["ws"].url("socks5")}
    assert through == {"", *(f"the proxy {url}" for url in urls)}
    sent = {trace["type"]: trace["request"] for trace in traces if trace["name"] != "connect"}
    assert sent == dict.fromkeys(("tcp", "ws", "mqtt", "grpc"), "hello")
