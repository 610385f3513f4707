"""The docs on clients, hooks and results: each block of Python runs against a server of its own."""

from __future__ import annotations

from locust.argument_parser import parse_options
from locust.env import Environment
from locust.exception import StopUser

import contextlib
import json
import logging
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import gevent
import msgpack
import pytest
import trustme
from gevent.server import StreamServer

from protouser import ProtocolUser
from protouser.testing import ScriptedServer, capture

from .doc_blocks import FENCE, ROOT, Setting, blocks_of, run
from .ports import free_port
from .test_docs import PAGES as PAGES_ON_DATA

with pytest.MonkeyPatch.context() as patch:  # servers are started here while clients are open
    patch.setenv("GRPC_ENABLE_FORK_SUPPORT", "0")
    import protouser_grpc
    import protouser_mqtt
    import protouser_socket
    import protouser_websocket

SOON = 60.0
PAGES = [
    "README.md",
    "docs/arrival-rate.md",
    "docs/barrier.md",
    "docs/framing.md",
    "docs/hooks.md",
    "docs/messages.md",
    "docs/proxies.md",
    "docs/results.md",
    "docs/sockets.md",
]
ELSEWHERE = ["docs/adapters.md"]  # test_adapter_guide.py


@pytest.mark.parametrize("block", blocks_of(*PAGES), ids=str)
def test_a_block_of_the_docs_runs(block, servers, request):  # theirs lasts, so it comes first
    run(block, *(request.getfixturevalue(name) for name in block.needs))


def test_no_page_is_left_out():
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    with_python = {str(page.relative_to(ROOT)) for page in pages if FENCE.search(page.read_text())}
    assert with_python == {*PAGES, *PAGES_ON_DATA, *ELSEWHERE}


def test_the_fences_of_every_block_of_python_are_understood():
    for page in [*PAGES, *PAGES_ON_DATA]:
        text = (ROOT / page).read_text()
        assert len(FENCE.findall(text)) == text.count("```python")


@pytest.mark.parametrize(
    "command",
    [
        command
        for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
        for command in re.findall(
            r"^locust -f [^\n]+(?:(?<=\\)\n[^\n]+)*", page.read_text(), re.MULTILINE
        )
    ],
)
def test_a_command_of_the_docs_has_options_that_there_are(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("floor.json").write_text('{"schema": 1, "floors": []}')
    words = shlex.split(command.replace("\\\n", " "))
    assert parse_options(words[1:]).locustfile == "locustfile.py"


@pytest.fixture(scope="module")
def servers():
    """The URLs of ``doc_server.py``."""
    program = Path(__file__).with_name("doc_server.py")
    command = [sys.executable, str(program)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with gevent.Timeout(60):
        urls = json.loads(process.stdout.readline())
    yield urls
    process.stdin.close()
    process.stdout.close()
    process.wait(60)


@pytest.fixture
def lines(servers):
    """A server over TCP that answers each line."""
    return Setting(host=servers["lines"], task=lambda user: user.client.request(b"hello"))


@pytest.fixture
def length_prefixed(servers):
    """One whose messages have a length of two bytes before them."""
    return Setting(host=servers["prefix2"], task=lambda user: user.client.request(b"hello"))


@pytest.fixture
def thermometer(servers):
    numbers = count(1)
    return Setting({"next_id": lambda: next(numbers).to_bytes(2, "big")}, host=servers["udp"])


@pytest.fixture
def traders(servers):
    rows = frozenset({"expect", "ack", "filled"})

    def check(names, results):
        assert {row for _, row in results} >= rows

    return Setting(host=servers["ws"], rows=rows, check=check)


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """A server over TLS, whose certificate ``ca.pem`` vouches for."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    monkeypatch.chdir(tmp_path)
    with ScriptedServer(cert_file=str(certificate)) as server:
        yield Setting(
            {"TcpUser": protouser_socket.TcpUser},
            host=server.url,
            task=lambda user: user.client.request(b"hello"),
            attributes={"local_address": ["127.0.0.2", "127.0.0.3"]},
        )


@pytest.fixture
def till(servers):
    """A user of the server over TCP."""
    user = ProtocolUser(Environment())
    user.client = user.open(servers["lines"], timeout=SOON)
    yield Setting({"self": user})
    user._close()


@pytest.fixture
def half_closed(till):
    def check(names, _results):
        assert names["reply"] == b"2 lines"

    return Setting(check=check)


@pytest.fixture
def till_and_orders(till, servers):
    """A user whose client stands for one of TCP and one of gRPC."""
    user = till.names["self"]
    orders = user.open(servers["grpc"], timeout=SOON)
    user.client = SimpleNamespace(request=user.client.request, call=orders.call)
    with capture(user.environment) as reports:
        yield Setting(till.names)
    assert [report.exception for report in reports] == [None, None]


@pytest.fixture
def orders(servers):
    """Users who log in, and are known from then on."""

    def log_in(user):
        user.client.call("shop.Orders/Login", {})
        order = user.client.call("shop.Orders/Get", {"id": 7})
        assert order.sent_by == "Bearer t"

    names = {"GrpcUser": protouser_grpc.GrpcUser, "logging": logging}
    return Setting(names, host=servers["grpc"], task=log_in)


@pytest.fixture
def broker(debian, tmp_path):
    """A mosquitto."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    debian("mosquitto", program)
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    process = subprocess.Popen([program, "-c", config], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield Setting(host=f"mqtt://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def delivered():
    def check(names, results):
        assert results["mqtt", "deliver rooms/{id}"].successes

    return Setting(rows=frozenset({"deliver rooms/{id}"}), check=check)


@pytest.fixture
def widgets():
    def make_widget():
        return "good"

    return Setting(
        {
            "WidgetMaker": type("WidgetMaker", (), {"get_widget": staticmethod(make_widget)}),
            "make_widget": make_widget,
        }
    )


@pytest.fixture
def every_protocol(servers, broker):
    """The four of the README, each with its server."""
    hosts = {
        "Greeter": servers["grpc"],
        "Guest": servers["ws"],
        "Sensor": broker.host,
        "Till": servers["prefix4"],
    }
    names = {"greeter_pb2_grpc": SimpleNamespace(GreeterStub=_Stub), "HelloRequest": _Hello}
    for package in (protouser_grpc, protouser_mqtt, protouser_socket, protouser_websocket):
        names |= {name: getattr(package, name) for name in package.__all__}
    names["topic"] = None

    rows = frozenset({"publish t/1", "helloworld.Greeter/SayHello", "chat.Chat/Talk", "expect"})

    def check(names, results):
        assert {row for _, row in results} > rows

    return Setting(names, hosts=hosts, rows=rows, check=check)


@pytest.fixture
def shoppers(tmp_path, monkeypatch, servers):
    """Accounts for a test of the README, and a server that has to see what its hook adds."""
    monkeypatch.chdir(tmp_path)
    rows = [f"user{number},secret" for number in range(20)]
    (tmp_path / "accounts.csv").write_text("\n".join(["user,password", *rows, ""]))

    def check(names, results):
        assert results["tcp", "buy"].successes == results["transaction", "checkout"].successes == 20
        replies = [report.response for report in results.reports if report.name == "buy"]
        assert all(json.loads(reply)["signed"] for reply in replies)

    return Setting(host=servers["lines"], users=2, seconds=20, check=check)


@pytest.fixture
def codecs():
    """What docs/framing.md makes messages of."""
    order = SimpleNamespace(SerializeToString=bytes, FromString=bytes)
    names = {name: getattr(protouser_socket, name) for name in protouser_socket.__all__}
    return Setting(names | {"struct": struct, "json": json, "msgpack": msgpack, "Order": order})


@pytest.fixture
def pairs():
    def check(names, _results):
        decoder = names["Pairs"]().decoder()
        assert decoder.feed(b"abc") == [b"ab"]
        assert decoder.feed(b"d") == [b"cd"]

    return Setting(check=check)


@pytest.fixture
def stages():
    def check(names, results):
        names["restart_broker"]()
        shape = names["Shape"]()
        shape.reset_time()
        shape.tick()

    return Setting(check=check)


class _Hello:
    """A message with a name, as generated code has it."""

    def __init__(self, name):
        self._name = name.encode()

    def SerializeToString(self):
        return b"\x0a" + bytes([len(self._name)]) + self._name


class _Stub:
    """As grpc generates them."""

    def __init__(self, channel):
        self.SayHello = channel.unary_unary(
            "/helloworld.Greeter/SayHello",
            request_serializer=_Hello.SerializeToString,
            response_deserializer=bytes,
        )


def _wait_for(port):
    """A connection to a port where somebody is about to listen."""
    with gevent.Timeout(60):
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return
            gevent.sleep(0.02)


@pytest.fixture
def proxied(servers, tmp_path, monkeypatch):
    """A proxy of HTTP, and a server over TCP behind it."""
    seen = []
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "proxy-ca.pem"))
    monkeypatch.chdir(tmp_path)

    def serve(client, _address):
        stream = client.makefile("rb")
        method, where, _ = stream.readline().split()
        while stream.readline().strip():
            pass
        seen.append(method)
        if method != b"CONNECT":
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            return
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        host, port = where.decode().split(":")
        with socket.create_connection((host, int(port))) as server:
            onward = gevent.spawn(_pass_on, client, server)
            _pass_on(server, client)
            onward.kill()

    proxy = StreamServer(("127.0.0.1", 0), serve)
    proxy.start()

    def task(user):
        if hasattr(user.client, "get"):
            user.client.get("/").close()
            user.client.close()  # which Locust leaves to the end of the process
        else:
            user.client.request(b"hello")
        raise StopUser

    def check(names, _results):
        assert seen[0] == (b"CONNECT" if "Echo" in names else b"GET")

    yield Setting(
        {"TcpUser": protouser_socket.TcpUser},
        hosts={"Echo": servers["lines"], "Web": "http://shop.example"},
        attributes={"proxy": f"http://user:password@127.0.0.1:{proxy.server_port}"},
        task=task,
        check=check,
    )
    proxy.stop()


def _pass_on(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
