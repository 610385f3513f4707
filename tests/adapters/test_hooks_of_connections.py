"""Hooks of connections and of messages that come, on every adapter that has them."""

from __future__ import annotations

from locust import task
from locust.exception import StopUser

import gevent
import pytest

from protouser import (
    MalformedMessage,
    ProtocolUser,
    after_connect,
    before_call,
    before_connect,
    contains,
    on_disconnect,
    on_message,
)
from protouser.testing import ScriptedServer, load

from .hooked import KINDS, SECONDS, of, row_of, run


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "timed"])
def test_connecting_has_hooks_of_its_own(servers, kind):
    said = []
    hooks = {
        "before": before_connect(lambda self, call: said.append(("before", call.outcome))),
        "after": after_connect(lambda self, call: said.append(("after", call.outcome))),
        "any": before_call(lambda self, call: said.append(call.name)),
    }
    run(servers, kind, hooks)
    assert said == [("before", None), ("after", "success"), "it"]


@pytest.mark.parametrize("kind", ["tcp", "udp", "ws"])
def test_messages_are_seen_without_taking_them_or_taken_by_a_pattern(servers, kind):
    seen, taken = [], []

    @on_message
    def look(self, message):
        seen.append(message)

    @on_message(contains("news"))
    def take(self, message):
        taken.append(message)

    def body(user):
        user.client.send("news")
        answer = user.client.request("a")
        with gevent.Timeout(SECONDS):
            while len(seen) < 2 or not taken:
                gevent.sleep(0.005)
        return answer

    results, (answer,) = run(servers, kind, {"look": look, "take": take}, body)
    a, news = ("a", "news") if kind == "ws" else (b"a", b"news")
    assert (answer, seen, taken) == (a, [news, a], [news])
    assert results[kind, "message"].one_way == 1


@pytest.mark.parametrize("method", ["Count", "Talk"])
def test_messages_of_a_stream_are_seen(servers, method):
    seen = []

    @on_message(protocol="grpc")
    def look(self, message):
        seen.append(message)

    def body(user):
        asked = {"to": 50} if method == "Count" else [{"text": "a"}]
        read = list(user.client.call(f"test.Greeter/{method}", asked))
        with gevent.Timeout(SECONDS):
            while len(seen) < len(read):
                gevent.sleep(0.005)
        return read

    _, (read,) = run(servers, "unary", {"look": look}, body)
    assert seen == read
    assert len(seen) in (1, 50)


@pytest.mark.parametrize("kind", ["tcp", "ws"])
def test_who_only_looks_goes_on_to_see_what_nobody_reads(servers, kind):
    seen = []

    @on_message
    def look(self, message):
        seen.append(message)

    def body(user):
        for number in range(50):
            user.client.send(f"message {number}")
        with gevent.Timeout(SECONDS):
            while len(seen) < 50:
                gevent.sleep(0.005)
        return len(user.client.connection.inbox)

    results, (kept,) = run(servers, kind, {"look": look, "buffer": 3}, body)
    assert (len(seen), kept) == (50, 3)
    assert results[kind, "receive"].counter("dropped") == 0


@pytest.mark.parametrize("engine", ["aio", "gevent"])
def test_who_only_looks_at_a_stream_sees_all_of_it_and_all_is_counted(servers, engine):
    seen = []

    @on_message
    def look(self, message):
        seen.append(message.number)

    def body(user):
        with user.client.stream("test.Greeter/Count", name="it") as stream:
            stream.send({"to": 1000})
            with gevent.Timeout(SECONDS):
                while len(seen) < 1000:
                    gevent.sleep(0.005)
        return "left"

    results, _ = run(servers, "server stream", {"look": look, "engine": engine}, body)
    assert results.errors == []
    assert seen == list(range(1, 1001))
    row = row_of(results, "server stream")
    # what the stream still keeps was read by nobody
    assert (row.successes, row.counter("messages")) == (1, 1000 - 256)


#: What the server sends does not fit this.
OTHER_VERSION = """
    syntax = "proto3";
    package test;
    service Greeter { rpc Talk(stream Text) returns (stream Wrong); }
    message Text { string text = 1; }
    message Wrong { Text text = 1; }
"""


@pytest.mark.parametrize("engine", ["aio", "gevent"])
def test_a_message_that_cannot_be_decoded_is_for_no_function_and_fails_who_reads(
    servers, engine, tmp_path, caplog
):
    seen, schema = [], tmp_path / "other.proto"
    schema.write_text(OTHER_VERSION)
    hooks = {
        "look": on_message(lambda self, message: seen.append(message)),
        "take": on_message(contains("x"))(lambda self, message: seen.append(message)),
    }

    def body(user):
        with user.client.stream("test.Greeter/Talk", name="it") as talk:
            talk.send({"text": "a"})
            with pytest.raises(MalformedMessage, match="cannot be read"):
                talk.receive(timeout=SECONDS)
        return "went on"

    hooks |= {"engine": engine, "schema": str(schema)}
    results, got = run(servers, "both", hooks, body)
    assert (got, seen) == (["went on"], [])
    assert caplog.text.count("a message of test.Greeter/Talk for @on_message") == 1
    assert results["grpc", "test.Greeter/Talk"].counter("malformed messages") == 1


def test_the_end_of_a_connection_is_told_unless_the_user_brought_it_about(servers):
    told = []

    def body(user):
        user.client.send("close")
        with gevent.Timeout(SECONDS):
            while not told:
                gevent.sleep(0.005)
        user.client.request("a")  # connects anew, and is closed by the end of the user

    @on_disconnect
    def tell(self, client, error):
        told.append((client is self.client, str(error).endswith("closed the connection")))

    run(servers, "tcp", {"tell": tell}, body)
    assert told == [(True, True)]


def talking(client):
    """A stream in which both sides have spoken."""
    stream = client.stream("test.Greeter/Talk", name="it").__enter__()
    stream.send({"text": "a"})
    assert stream.receive(timeout=SECONDS).text == "a"
    return stream


#: By kind: a server of one's own, and what a user does before it goes away.
GOING = {
    "tcp": (ScriptedServer, lambda client: client.request("a")),
    "ws": (of("websocket/conftest.py", "Server"), lambda client: client.request("a")),
    "mqtt": (of("mqtt/conftest.py", "Scripted"), lambda client: client.publish("t/a", "a", qos=1)),
    "grpc aio": (of("grpc/conftest.py", "Greeter"), talking),
    "grpc gevent": (of("grpc/conftest.py", "Greeter"), talking),
}


@pytest.mark.parametrize("kind", GOING)
def test_a_server_that_goes_away_is_told_of_once_in_each_user(kind):
    make, speak = GOING[kind]
    server = make()
    if hasattr(server, "__enter__"):
        server.__enter__()
    url = server.url() if kind == "ws" else server.url
    process = server._process if kind == "tcp" else server.process
    told, held = [], []

    @on_disconnect
    def tell(self, client, error):
        gevent.sleep(0)  # it may block
        told.append((self, client is self.client, type(error).__name__))

    @task
    def act(self):
        held.append(speak(self.client))
        if len(held) == 2:
            process.kill()
        with gevent.Timeout(SECONDS):
            while len(told) < 2:
                gevent.sleep(0.005)
        gevent.sleep(0.05)
        raise StopUser

    members = {"host": url, "act": act, "tell": tell, "connect_backoff": 60}
    if " " in kind:
        members["engine"] = kind.split()[1]
    results = load(type("Person", (ProtocolUser,), members), users=2, seconds=SECONDS)
    with process:  # closes its pipes
        pass
    assert results.errors == []
    assert len({user for user, *_ in told}) == len(told) == 2
    assert {(own, error) for _, own, error in told} == {(True, "ConnectionLost")}


def test_headers_of_a_handshake_can_be_changed(servers):
    @before_connect
    def sign(self, call):
        call.request.headers.append(("X-Token", "abc"))

    def body(user):
        return user.client.receive()

    servers = {"ws": servers["ws"] + "headers"}
    _, (told,) = run(servers, "ws", {"sign": sign}, body)
    assert '["X-Token", "abc"]' in told
