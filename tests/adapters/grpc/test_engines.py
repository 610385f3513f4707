"""The engines: what they rely on, when which one runs, what they leave, and forked processes."""

from __future__ import annotations

from locust import task
from locust.env import Environment

import json
import logging
import os
import subprocess
import sys
import textwrap

import gevent
import grpc
import pytest
from grpc._cython import cygrpc

from protouser import ConfigurationError, attach
from protouser.testing import capture, load
from protouser_grpc import GrpcClient, GrpcUser, _engines
from protouser_grpc._engines import _loop, _poller
from protouser_grpc._engines._interface import EngineUnavailable

HELLO = "test.Greeter/SayHello"
SOON = 30.0  # only a hang takes longer
BOTH = pytest.mark.parametrize("engine", ["aio", "gevent"])


def poller_threads():
    """Threads of grpc.aio that are alive, by their Python frames."""
    frames = [str(frame) for frame in sys._current_frames().values()]
    return [frame for frame in frames if "_engines/_" in frame or "asyncio" in frame]


def until(condition):
    with gevent.Timeout(SOON):
        while not condition():
            gevent.sleep(0.005)


def greet(client):
    return client.call(HELLO, {"name": "you"}).message


def test_the_private_names_that_the_bridge_relies_on_are_there():
    assert cygrpc.threading.__name__ == "threading"
    assert cygrpc.socket.__name__ == "socket"
    _poller.check_private_names()


def test_the_lower_layer_of_grpc_aio_is_as_unary_calls_know_it(greeter):
    with GrpcClient(greeter.url, engine="aio").open() as client:
        assert client._lease.channel.lower is not None


def test_without_that_layer_the_public_one_is_used(greeter, monkeypatch):
    monkeypatch.setattr(_engines._aio, "direct_channel", lambda channel: None)
    with GrpcClient(greeter.url, engine="aio").open() as client:
        assert greet(client) == "Hello, you"
        with pytest.raises(grpc.RpcError, match="NOT_FOUND: no such user"):
            client.call(HELLO, {"name": "fail"})
        waiting = gevent.spawn(client.call, HELLO, {"name": "sleep 30"})
        greeter.wait_for(lambda stats: stats["active"] == 1)
        waiting.kill()
        greeter.wait_for(lambda stats: stats["active"] == 0)
        call = client.channel.unary_unary("/" + HELLO).with_call(b"")[1]
        assert ("served-by", "greeter") in call.trailing_metadata()


def test_they_are_exchanged_only_while_the_poller_starts(greeter):
    before = cygrpc.threading, cygrpc.socket
    with GrpcClient(greeter.url, engine="aio").open() as client:
        assert greet(client) == "Hello, you"
        assert (cygrpc.threading, cygrpc.socket) == before


def test_auto_is_aio(greeter, caplog):
    with GrpcClient(greeter.url).open() as client:
        assert client._lease.engine == "aio"
    assert not caplog.records


def test_where_aio_cannot_start_the_other_is_used_and_one_line_says_so(
    greeter, monkeypatch, caplog
):
    def refuse():
        raise EngineUnavailable("grpcio has no name 'threading'")

    monkeypatch.setattr(_engines._aio, "check_private_names", refuse)
    monkeypatch.setattr(_engines, "_unavailable", [])
    with caplog.at_level(logging.WARNING):
        clients = [GrpcClient(greeter.url).open() for _ in range(3)]
    assert [client._lease.engine for client in clients] == ["gevent"] * 3
    assert {greet(client) for client in clients} == {"Hello, you"}
    for client in clients:
        client.close()
    (record,) = caplog.records
    assert "runs on its slower engine 'gevent', as 'aio' cannot run here" in record.getMessage()
    assert "no name 'threading'" in record.getMessage()


def test_aio_that_was_asked_for_and_cannot_start_is_an_error(greeter, monkeypatch):
    def refuse():
        raise EngineUnavailable("grpcio has no name 'threading'")

    monkeypatch.setattr(_engines._aio, "check_private_names", refuse)
    with pytest.raises(ConfigurationError, match=r"engine='aio' cannot run here: .* 'threading'"):
        GrpcClient(greeter.url, engine="aio").open()


def test_a_poller_that_does_not_start_is_noticed(greeter, monkeypatch, caplog):
    def fail():
        raise RuntimeError("no poller")

    monkeypatch.setattr(_loop, "start_poller", fail)
    monkeypatch.setattr(_engines, "_unavailable", [])
    with GrpcClient(greeter.url).open() as client:
        assert client._lease.engine == "gevent"
        assert greet(client) == "Hello, you"
    assert "grpc.aio does not start: RuntimeError('no poller')" in caplog.text


def test_both_engines_at_the_same_time(greeter):
    with (
        GrpcClient(greeter.url, engine="aio").open() as one,
        GrpcClient(greeter.url, engine="gevent").open() as other,
    ):
        made = [gevent.spawn(greet, client) for client in (one, other) * 50]
        gevent.joinall(made, timeout=SOON, raise_error=True)


def test_the_thread_ends_with_the_last_channel_and_starts_again(greeter):
    for _ in range(5):
        first = GrpcClient(greeter.url, engine="aio").open()
        second = GrpcClient(greeter.url, engine="aio").open()
        assert (greet(first), greet(second)) == ("Hello, you", "Hello, you")
        first.close()
        assert greet(second) == "Hello, you"
        assert poller_threads()
        second.close()
        until(lambda: not poller_threads())


@BOTH
def test_users_have_a_connection_each_unless_they_share_one(greeter, engine):
    for connection, expected in (("per_user", 4), ("shared", 1)):
        clients = [
            GrpcClient(greeter.url, engine=engine, connection=connection).open() for _ in range(4)
        ]
        assert {greet(client) for client in clients} == {"Hello, you"}
        greeter.wait_for(lambda stats, expected=expected: stats["connections"] == expected)
        for client in clients[:-1]:
            client.close()
        assert greet(clients[-1]) == "Hello, you"
        clients[-1].close()
        clients[-1].close()
        greeter.wait_for(lambda stats: stats["connections"] == 0)


@BOTH
def test_channels_with_other_options_are_not_shared(greeter, engine):
    options = {"engine": engine, "connection": "shared"}
    alive = {"grpc.keepalive_time_ms": 60_000}
    with (
        GrpcClient(greeter.url, **options).open(),
        GrpcClient(greeter.url, channel_options=alive, **options).open(),
    ):
        greeter.wait_for(lambda stats: stats["connections"] == 2)


@BOTH
def test_a_connect_of_a_shared_channel_is_still_a_row_of_each_user(greeter, engine):
    kind = engine

    class Sharing(GrpcUser):
        host = greeter.url
        engine = kind
        connection = "shared"

        @task
        def hello(self):
            self.client.call(HELLO, {"name": "you"})
            self.stop()

    results = load(Sharing, users=5, seconds=SOON)
    assert results["grpc", "connect"].successes == 5
    assert results["grpc", HELLO].successes == 5


@BOTH
def test_a_connection_that_is_gone_is_made_again_as_a_row(engine, make_greeter):
    environment = Environment()
    server = make_greeter()
    with (
        capture(environment) as reports,
        GrpcClient(server.url, session=attach(environment), engine=engine).open() as client,
    ):
        greet(client)
        server.kill()
        make_greeter("--port", str(server.port))
        until(lambda: client._lease.channel.state() is not grpc.ChannelConnectivity.READY)
        greet(client)
    names = [(report.name, report.exception) for report in reports]
    assert names == [("connect", None), (HELLO, None)] * 2


FORK = """
from locust import User

import json, os, sys
import gevent
import protouser_grpc
from protouser import open_client

url, engine = sys.argv[1:]
def greet(client):
    return client.call("test.Greeter/SayHello", {"name": "you"}, timeout=30).message

read, write = os.pipe()
if gevent.fork() == 0:
    with gevent.Timeout(30):
        said = greet(open_client(url, engine=engine, connection="shared"))
    os.write(write, json.dumps(said).encode())
    os._exit(0)
os.close(write)
gevent.os.make_nonblocking(read)
with gevent.Timeout(40):
    said = gevent.os.nb_read(read, 100).decode()
assert greet(open_client(url, engine=engine, connection="shared")) == "Hello, you"
print(said, os.environ["GRPC_ENABLE_FORK_SUPPORT"], flush=True)
os._exit(0)
"""


@BOTH
def test_a_forked_process_makes_channels_of_its_own(greeter, engine):
    command = [sys.executable, "-c", textwrap.dedent(FORK), greeter.url, engine]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    said, variable = run.stdout.rsplit(maxsplit=1)
    assert (json.loads(said), variable) == ("Hello, you", "1")


FORKED = """
from locust import User

import os, sys
import gevent
from protouser import open_client

url, engine, closed = sys.argv[1:]
def greet(client):
    return client.call("test.Greeter/SayHello", {"name": "you"}, timeout=30).message

client = open_client(url, engine=engine)
greet(client)
if closed == "closed":
    client.close()
child = gevent.fork()
if child == 0:
    for one in (lambda: client, lambda: open_client(url, engine=engine)):
        try:
            with gevent.Timeout(20):
                print(greet(one()), flush=True)
        except Exception as error:
            print(error, flush=True)
    client.close()
    os._exit(0)
with gevent.Timeout(50):
    gevent.os.waitpid(child, 0)
print(greet(client), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("closed", ["open", "closed"])
def test_grpc_that_was_in_use_at_a_fork_is_refused_in_the_child(greeter, closed):
    command = [sys.executable, "-c", textwrap.dedent(FORKED), greeter.url, "aio", closed]
    # grpc's own handlers of forks crash some children before they can say anything
    env = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, env=env)
    assert run.returncode == 0, run.stderr
    *in_child, said = run.stdout.splitlines()
    assert said == "Hello, you"
    assert len(in_child) == 2
    # grpc's threads end a moment after the last client, and the fork may come before that or after
    if closed == "closed" and "Hello, you" in in_child:
        assert in_child == ["Hello, you"] * 2
        return
    for line in in_child:
        assert line.startswith("gRPC was in use when this process was forked, as --processes does")
