"""Unary calls, by stub and by name, on both engines: what is returned, raised and reported."""

from __future__ import annotations

from locust import constant, task

import gevent
import grpc
import pytest

from protouser import (
    CallTimeout,
    ConfigurationError,
    ProtouserError,
    before_call,
    now,
    raises,
)
from protouser.testing import load
from protouser_grpc import GrpcError, GrpcTimeout, GrpcUser

HELLO = "test.Greeter/SayHello"
SOON = 30.0  # only a hang takes longer
AIO = pytest.mark.parametrize("engine", ["aio"])  # what no engine has to do with


def outcomes(reports):
    return [(r.name, None if r.exception is None else str(r.exception)) for r in reports]


def test_a_generated_stub_is_used_as_it_is(stub, stubs, reports):
    reply = stub.SayHello(stubs[0].HelloRequest(name="you"))
    assert reply == stubs[0].HelloReply(message="Hello, you")
    (report,) = reports
    assert (report.request_type, report.name, report.response) == ("grpc", HELLO, reply)
    assert report.response_length == reply.ByteSize()
    assert report.exception is None


def test_a_call_by_name_takes_dicts_and_messages(client, stubs):
    assert client.call(HELLO, {"name": "you"}).message == "Hello, you"
    assert client.call("/" + HELLO, stubs[0].HelloRequest(name="me")).message == "Hello, me"
    assert client.call(HELLO).message == "Hello, "


def test_with_call_also_tells_how_the_call_ended(stub, stubs):
    metadata = (("x-token", "abc"),)
    reply, call = stub.SayHello.with_call(stubs[0].HelloRequest(name="you"), metadata=metadata)
    assert reply.message == "Hello, you"
    assert (call.code(), call.details()) == (grpc.StatusCode.OK, "")
    assert ("x-token", "abc") in call.initial_metadata()
    assert [(one.key, one.value) for one in call.trailing_metadata()] == [("served-by", "greeter")]


def test_metadata_of_the_client_and_of_the_call_are_both_sent(client_of, stubs):
    stub = stubs[1].GreeterStub(client_of(metadata={"X-User": "ann"}).channel)
    binary = ("x-raw-bin", b"\x00\xff")
    _, call = stub.SayHello.with_call(
        stubs[0].HelloRequest(name="you"), metadata=[("x-call", "1"), binary]
    )
    sent = {("x-user", "ann"), ("x-call", "1"), binary}
    assert sent <= set(call.initial_metadata())


def test_another_status_than_ok_is_an_error_of_grpc_and_of_ours(stub, stubs, reports):
    with pytest.raises(grpc.RpcError) as caught:
        stub.SayHello(stubs[0].HelloRequest(name="fail"))
    error = caught.value
    assert isinstance(error, GrpcError)
    assert isinstance(error, ProtouserError)
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such user")
    assert ("served-by", "greeter") in error.trailing_metadata()
    assert outcomes(reports) == [(HELLO, "NOT_FOUND: no such user")]
    assert reports[0].exception is error


def test_a_deadline_is_a_timeout(client, reports):
    began = now()
    with pytest.raises(GrpcTimeout) as caught:
        client.call(HELLO, {"name": "sleep 60"}, timeout=0.2)
    assert now() - began < SOON
    assert isinstance(caught.value, CallTimeout)
    assert isinstance(caught.value, grpc.RpcError)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert outcomes(reports) == [(HELLO, "DEADLINE_EXCEEDED: no answer within 0.2 s")]
    assert 190 < reports[0].response_time < 1000 * SOON


@AIO
def test_the_options_of_every_call(client, reports):
    with client.call(HELLO, {"name": "you"}, name="hello", catch_response=True) as call:
        assert call.response.message == "Hello, you"
        call.failure("too polite")
    client.call(HELLO, {"name": "you"}, check=lambda reply: reply.message == "Goodbye")
    client.call(HELLO, {"name": "fail"}, check=raises(GrpcError), context={"row": 7})
    hello, checked, refused = reports
    assert (hello.name, str(hello.exception)) == ("hello", "too polite")
    assert (checked.name, checked.exception is None) == (HELLO, False)
    assert (refused.exception, refused.context) == (None, {"row": 7})


@AIO
def test_a_stub_takes_them_too(stub, stubs, reports):
    stub.SayHello(stubs[0].HelloRequest(name="you"), name="hello", check=bool, context={"row": 1})
    assert (reports[0].name, reports[0].context) == ("hello", {"row": 1})


def test_a_killed_call_is_cancelled_at_the_server(client, greeter, reports):
    client.call(HELLO, {"name": "you"})
    before = greeter.stats()
    patient = {"name": "sleep 60"}
    waiting = [gevent.spawn(client.call, HELLO, patient, timeout=60) for _ in range(5)]
    greeter.wait_for(lambda stats: stats["active"] == 5)
    reports.clear()
    gevent.killall(waiting)
    after = greeter.wait_for(lambda stats: stats["active"] == 0)
    assert after["cancelled"] - before["cancelled"] == 5
    assert reports == [], "cancelled calls are counted, and are no events"


def test_a_timeout_of_the_users_own_cancels_the_call_at_the_server(client, greeter, reports):
    client.call(HELLO, {"name": "you"})
    reports.clear()
    with gevent.Timeout(0.2, False):
        client.call(HELLO, {"name": "sleep 60"}, timeout=60)
    greeter.wait_for(lambda stats: stats["active"] == 0)
    assert outcomes(reports) == [(HELLO, "timed out after 0.2 s")]


def test_closing_the_client_ends_its_calls(client, greeter):
    waiting = gevent.spawn(client.call, HELLO, {"name": "sleep 60"}, timeout=60)
    greeter.wait_for(lambda stats: stats["active"] == 1)
    client.close()
    waiting.join(SOON)
    assert waiting.exception is not None
    assert waiting.exception.code() is grpc.StatusCode.CANCELLED
    greeter.wait_for(lambda stats: stats["active"] == 0)


def test_after_close_the_next_call_connects_anew(client, reports):
    client.call(HELLO, {"name": "you"})
    client.close()
    client.call(HELLO, {"name": "you"})
    assert [report.name for report in reports] == [HELLO, "connect", HELLO]


def test_calls_of_many_users_are_under_way_at_the_same_time(greeter, engine):
    kind = engine
    crowd = 12  # more than the threads that gevent has

    class Slow(GrpcUser):
        host = greeter.url
        engine = kind
        wait_time = constant(0)

        @task
        def hello(self):
            for _ in range(3):
                self.client.call(HELLO, {"name": f"meet {crowd}"})
            self.stop()

    results = load(Slow, users=crowd, seconds=2 * SOON)
    row = results["grpc", HELLO]
    assert (row.successes, row.failures) == (3 * crowd, 0), "none is answered where some queue"
    assert results["grpc", "connect"].successes == crowd


def test_twelve_hanging_calls_delay_nobody_else(client_of, greeter):
    hanging_on, quick = client_of(), client_of()
    quick.call(HELLO, {"name": "you"})
    patient = {"name": "sleep 90"}
    hanging = [gevent.spawn(hanging_on.call, HELLO, patient, timeout=90) for _ in range(12)]
    greeter.wait_for(lambda stats: stats["active"] == 12)
    with gevent.Timeout(SOON):
        assert quick.call(HELLO, {"name": "you"}).message == "Hello, you"
        assert gevent.socket.getaddrinfo("localhost", 1)
    assert not any(one.ready() for one in hanging)
    gevent.killall(hanging)


@AIO
def test_a_before_hook_may_change_the_request(greeter, engine):
    kind = engine

    class Renamed(GrpcUser):
        host = greeter.url
        engine = kind

        @before_call("test.Greeter/*")
        def sign(self, call):
            call.request.payload = {"name": "the hook"}

        @task
        def hello(self):
            reply = self.client.call(HELLO, {"name": "you"})
            assert reply.message == "Hello, the hook"
            self.stop()

    results = load(Renamed, users=1, seconds=SOON)
    assert not results.errors
    assert results["grpc", HELLO].successes == 1


@AIO
def test_a_user_has_a_stub(greeter, stubs, engine):
    kind = engine
    messages, services = stubs

    class Greeting(GrpcUser):
        host = greeter.url
        engine = kind
        stub_class = services.GreeterStub
        metadata = {"x-user": "ann"}

        @task
        def hello(self):
            _, call = self.stub.SayHello.with_call(messages.HelloRequest(name="you"))
            assert ("x-user", "ann") in call.initial_metadata()
            self.stop()

    results = load(Greeting, users=3, seconds=SOON)
    assert not results.errors
    assert results["grpc", HELLO].successes == 3


@AIO
def test_an_async_task_is_told_to_use_something_else(greeter, engine):
    kind = engine

    class Confused(GrpcUser):
        host = greeter.url
        engine = kind

        @task
        async def hello(self):
            try:
                self.client.call(HELLO, {"name": "you"})
            finally:
                self.stop()

    results = load(Confused, users=1, seconds=SOON)
    (error,) = results.errors
    assert isinstance(error, ProtouserError)
    assert "was used in an async task or a native thread" in str(error)


@AIO
def test_there_are_no_futures(stub, stubs):
    with pytest.raises(ConfigurationError, match=r"no futures here; .* self\.spawn"):
        stub.SayHello.future(stubs[0].HelloRequest())


def test_a_large_message_passes_both_ways(client):
    reply = client.call(HELLO, {"name": "size 6000000"})
    assert len(reply.message) == 6_000_000


@AIO
@pytest.mark.parametrize("timeout", [0, -1, "5", float("nan")])
def test_a_deadline_that_is_none(client, timeout):
    with pytest.raises(ConfigurationError, match=r"timeout=.* is no number of seconds above 0"):
        client.call(HELLO, {"name": "you"}, timeout=timeout)


@AIO
@pytest.mark.parametrize("method", ["SayHello", "Count"])
def test_a_keyword_that_is_none_is_told_by_the_row(stub, stubs, reports, method):
    with pytest.raises(ConfigurationError) as refused:
        getattr(stub, method)(stubs[0].HelloRequest(name="you"), chek=bool)
    row = f"test.Greeter/{method}"
    assert str(refused.value) == f"{row} takes no keyword 'chek'; did you mean 'check'?"
    assert reports == []
