"""Streaming calls of all kinds, on both engines: order, ends, deadlines, what is reported."""

from __future__ import annotations

from locust import task

import gevent
import grpc
import pytest

from protouser import (
    CallTimeout,
    ConfigurationError,
    ConnectionLost,
    arrival_rate,
    attach,
    now,
    raises,
)
from protouser._schedule import schedules
from protouser.testing import load
from protouser_grpc import GrpcError, GrpcTimeout, GrpcUser

COUNT, SUM, TALK = "test.Greeter/Count", "test.Greeter/Sum", "test.Greeter/Talk"
SOON = 30.0  # only a hang takes longer
AIO = pytest.mark.parametrize("engine", ["aio"])  # what no engine has to do with


def settled(environment, reports, number=1):
    """The reports, once there are so many: a stream that was left is settled a moment later."""
    with gevent.Timeout(SOON):
        while len(reports) < number:
            gevent.sleep(0.005)
    return attach(environment).figures


def counters(environment, row):
    figures = attach(environment).figures
    return {key[2]: value for key, value in figures.counters.items() if key[1] == row}


def until(condition):
    with gevent.Timeout(SOON):
        while not condition():
            gevent.sleep(0.005)


def say(client, *texts, timeout=None, answers=1):
    with client.stream(TALK, timeout=60) as talk:
        for text in texts:
            talk.send({"text": text}, timeout=timeout)
        for _ in range(answers):
            talk.receive()


def outcomes(reports):
    return [(r.name, None if r.exception is None else str(r.exception)) for r in reports]


def test_answers_are_iterated_and_timed_as_one_call(stub, stubs, environment, reports):
    began = now()
    answers = stub.Count(stubs[0].CountRequest(to=5, gap_ms=40))
    assert next(answers).number == 1
    until_the_first = now() - began
    assert [one.number for one in answers] == [2, 3, 4, 5]
    (report,) = reports
    assert (report.name, report.exception, report.response) == (COUNT, None, 5)
    assert report.response_time > 4 * 40
    assert counters(environment, COUNT) == {"messages": 5}
    first = attach(environment).figures.timed["grpc", COUNT, "first message", "success"]
    assert first.percentile(1.0) / 1e9 < until_the_first * 1.01


def test_many_answers_come_in_order(client):
    assert [one.number for one in client.call(COUNT, {"to": 3000})] == [*range(1, 3001)]


def test_a_reader_who_is_slower_than_the_server_holds_it_back(client, greeter):
    size, ballast = 5000, 20_000  # 100 MB
    others = greeter.stats()["counted"]
    answers = client.call(COUNT, {"to": size, "ballast": ballast}, timeout=4 * SOON)
    assert next(answers).number == 1
    before, counted = -1, greeter.stats()["counted"]
    while counted != before:
        gevent.sleep(0.3)
        before, counted = counted, greeter.stats()["counted"]
    assert counted - others < size
    assert sum(1 for _ in answers) == size - 1


def test_the_error_of_a_stream_comes_after_its_answers(stub, stubs, environment, reports):
    answers = stub.Count(stubs[0].CountRequest(to=5, fail_at=3))
    assert [next(answers).number, next(answers).number] == [1, 2]
    with pytest.raises(GrpcError) as caught:
        next(answers)
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert outcomes(reports) == [(COUNT, "DATA_LOSS: the count was lost")]
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.DATA_LOSS


def test_a_stream_has_a_deadline(client, reports):
    answers = client.call(COUNT, {"to": 1200, "gap_ms": 50}, timeout=0.3)
    began = now()
    with pytest.raises(GrpcTimeout):
        list(answers)
    assert now() - began < SOON
    assert outcomes(reports) == [(COUNT, "DEADLINE_EXCEEDED: no answer within 0.3 s")]


def test_answers_that_are_left_are_a_success_marked_as_left(
    client, environment, reports, greeter, engine
):
    for one in client.call(COUNT, {"to": 1000, "gap_ms": 20}):
        if one.number == 3:
            break
    del one
    settled(environment, reports)
    assert outcomes(reports) == [(COUNT, None)]
    assert counters(environment, COUNT) == {"messages": 3, "left": 1}
    greeter.wait_for(lambda stats: stats["active"] == 0)


@pytest.mark.parametrize("lazily", [False, True], ids=["list", "generator"])
def test_requests_are_streamed_and_answered_once(stub, stubs, reports, lazily):
    numbers = (stubs[0].Number(number=number) for number in range(1, 2001))
    total = stub.Sum(numbers if lazily else list(numbers))
    assert total.total == 2_001_000
    assert outcomes(reports) == [(SUM, None)]


def test_requests_may_take_their_time(client, reports):
    def slowly():
        for number in range(4):
            gevent.sleep(0.05)
            yield {"number": number}

    assert client.call(SUM, slowly()).total == 6
    assert reports[0].response_time > 4 * 50


def test_a_server_that_refuses_requests_ends_their_stream(client, reports):
    def endless():
        yield {"number": -1}
        while True:
            gevent.sleep(0.01)
            yield {"number": 1}

    with pytest.raises(GrpcError, match="no negative numbers"):
        client.call(SUM, endless())
    assert outcomes(reports) == [(SUM, "INVALID_ARGUMENT: no negative numbers")]


def test_what_the_requests_raise_is_raised_and_ends_the_call(client, reports, greeter):
    def broken():
        yield {"number": 1}
        raise RuntimeError("no more numbers")

    with pytest.raises(RuntimeError, match="no more numbers"):
        client.call(SUM, broken())
    with pytest.raises(RuntimeError, match="no more texts"):
        list(client.call(TALK, broken_texts()))
    assert outcomes(reports) == [(SUM, "no more numbers"), (TALK, "no more texts")]
    greeter.wait_for(lambda stats: stats["active"] == 0)


def broken_texts():
    yield {"text": "a"}
    raise RuntimeError("no more texts")


def test_with_call_of_streamed_requests(stub, stubs):
    total, call = stub.Sum.with_call([stubs[0].Number(number=1)])
    assert (total.total, call.code()) == (1, grpc.StatusCode.OK)


def test_both_sides_stream(stub, stubs, reports):
    texts = [stubs[0].Text(text=str(number)) for number in range(500)]
    assert [one.text for one in stub.Talk(iter(texts))] == [one.text for one in texts]
    assert outcomes(reports) == [(TALK, None)]


def test_a_conversation(client, environment, reports):
    with client.stream(TALK) as talk:
        for number in range(10):
            talk.send({"text": str(number)})
            assert talk.receive(timeout=SOON).text == str(number)
        talk.done_writing()
        assert list(talk) == []
    (report,) = reports
    assert (report.name, report.exception, report.response) == (TALK, None, 10)
    assert counters(environment, TALK) == {"messages": 10}


def test_the_block_waits_for_the_end_when_all_was_said(client, reports):
    with client.stream(TALK) as talk:
        for number in range(3):
            talk.send({"text": str(number)})
        talk.done_writing()
    assert [(report.response, report.exception) for report in reports] == [(3, None)]
    assert talk.code() is grpc.StatusCode.OK


def test_an_answer_is_picked_by_a_match_and_others_are_kept(client):
    with client.stream(TALK) as talk:
        for text in ("a", "b", "c"):
            talk.send({"text": text})
        assert talk.receive(match=lambda one: one.text == "b", timeout=SOON).text == "b"
        assert [talk.receive().text, talk.receive().text] == ["a", "c"]


def test_no_answer_in_time_fails_the_block_or_is_caught_in_it(client, reports):
    with client.stream(TALK) as talk:
        with pytest.raises(CallTimeout, match=r"no message within 0\.1 s"):
            talk.receive(timeout=0.1)
        talk.send({"text": "still here"})
        assert talk.receive().text == "still here"
        talk.done_writing()
    with pytest.raises(CallTimeout), client.stream(TALK) as talk:
        talk.receive(timeout=0.1)
    assert outcomes(reports) == [(TALK, None), (TALK, "no message within 0.1 s")]


def test_a_block_that_is_left_cancels_the_call(client, environment, reports, greeter):
    with client.stream(TALK) as talk:
        talk.send({"text": "a"})
        talk.receive()
        assert talk.is_active()
    settled(environment, reports)
    assert outcomes(reports) == [(TALK, None)]
    assert counters(environment, TALK) == {"messages": 1, "left": 1}
    greeter.wait_for(lambda stats: stats["active"] == 0)


@AIO
def test_a_block_may_decide_about_its_call(client, environment, reports):
    with client.stream(TALK, name="talk", check=lambda number: number == 2) as talk:
        talk.send({"text": "a"})
        talk.done_writing()
    with client.stream(TALK) as talk:
        talk.call.failure("silence")
    settled(environment, reports, 2)
    assert reports[0].name == "talk"
    assert reports[0].exception is not None
    assert outcomes(reports)[1] == (TALK, "silence")


def test_a_server_that_fails_in_the_middle(client, reports):
    with pytest.raises(GrpcError, match="NOT_FOUND: no such user"):
        say(client, "fail")
    with client.stream(TALK, check=raises(GrpcError)) as talk:
        talk.send({"text": "fail"})
        talk.receive()
    with client.stream(TALK) as talk:
        talk.send({"text": "fail"})
        with pytest.raises(GrpcError):
            talk.receive()
    refused = (TALK, "NOT_FOUND: no such user")
    assert outcomes(reports) == [refused, (TALK, None), refused]


def test_a_server_that_ends_first(client, reports):
    with client.stream(TALK) as talk:
        talk.send({"text": "end"})
        with pytest.raises(ConnectionLost, match="has ended the stream with OK"):
            talk.receive()
        with pytest.raises(ConnectionLost, match="takes no more messages"):
            talk.send({"text": "too late"})
    assert outcomes(reports) == [(TALK, None)]


def test_answers_that_nobody_reads_do_not_keep_a_stream_that_was_left(client):
    with client.stream(COUNT) as answers:
        answers.send({"to": 100_000})
        answers.receive()
        gevent.sleep(0.2)  # more have come than are kept
    until(lambda: answers.code() is grpc.StatusCode.CANCELLED)


def test_a_writer_who_does_not_read_learns_of_the_end(client):
    texts = ["x"] * 2000
    texts[1000] = "fail"
    with pytest.raises(GrpcError, match="NOT_FOUND: no such user"), gevent.Timeout(SOON):
        say(client, *texts, answers=len(texts))


def test_several_greenlets_write_to_one_stream(client):
    number = 500

    def write(talk):
        for _ in range(number):
            talk.send({"text": "x" * 1000})

    with client.stream(TALK) as talk:
        writers = [gevent.spawn(write, talk) for _ in range(3)]
        for _ in range(3 * number):
            talk.receive(timeout=SOON)
        gevent.joinall(writers, timeout=SOON, raise_error=True)
        assert all(writer.successful() for writer in writers)


@AIO
def test_a_stream_of_answers_is_a_block_by_itself(client, stub, stubs):
    hint = r"answers with a stream, which is a with block without catch_response: with \.\.\. as"
    with pytest.raises(ConfigurationError, match=hint):
        stub.Count(stubs[0].CountRequest(to=1), catch_response=True)
    with pytest.raises(ConfigurationError, match=hint):
        client.call(COUNT, {"to": 1}, catch_response=True)


def test_a_server_that_does_not_read_holds_the_writer_back(client):
    with pytest.raises(CallTimeout, match="the server does not read"):
        say(client, "sleep 90", *["x" * 10_000] * 5000, timeout=0.3)


def test_a_killed_conversation_is_cancelled_everywhere(client, environment, greeter, reports):
    def converse():
        with client.stream(TALK) as talk:
            talk.send({"text": "sleep 90"})
            talk.receive()

    talking = [gevent.spawn(converse) for _ in range(3)]
    greeter.wait_for(lambda stats: stats["active"] == 3)
    gevent.killall(talking)
    greeter.wait_for(lambda stats: stats["active"] == 0)
    assert reports == []
    assert attach(environment).figures.outcome("grpc", TALK, "cancelled") == 3


def test_metadata_of_a_stream(client):
    with client.stream(TALK, metadata={"x-token": "abc"}) as talk:
        talk.send({"text": "a"})
        talk.done_writing()
        list(talk)
        assert talk.initial_metadata() is not None
    assert talk.trailing_metadata() == ()


def test_streams_that_a_user_keeps_end_with_him(greeter, engine):
    kind = engine
    listening = []

    class Listener(GrpcUser):
        host = greeter.url
        engine = kind
        connection = "shared"

        @task
        def listen(self):
            self.numbers = self.client.call(COUNT, {"to": 100_000, "gap_ms": 10})
            next(self.numbers)
            listening.append(self)
            gevent.sleep(2 * SOON)

    results = load(Listener, users=3, seconds=SOON, until=lambda: len(listening) == 3)
    row = results["grpc", COUNT]
    assert (row.successes, row.failures, row.cancelled) == (0, 0, 3)
    greeter.wait_for(lambda stats: (stats["active"], stats["connections"]) == (0, 0))


@AIO
def test_a_unary_method_is_no_stream(client):
    with pytest.raises(ConfigurationError, match=r"SayHello streams nothing; use call\("):
        client.stream("test.Greeter/SayHello")


@AIO
@pytest.mark.parametrize("requests", [{"number": 1}, "1", 1])
def test_one_request_where_many_are_wanted(client, requests, reports):
    with pytest.raises(ConfigurationError, match="takes a stream of requests: pass an iterable"):
        client.call(SUM, requests)
    assert len(reports) == 1


def test_a_refusal_is_not_hidden_by_the_requests_that_it_crosses(client):
    """grpc.aio itself says INTERNAL where a write fails because the server has ended the call."""
    refused = client.channel.stream_stream("/test.Greeter/Nothing")
    for _ in range(50):
        with pytest.raises(GrpcError) as caught:
            list(refused([b"x"] * 20))
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_streams_take_slots_and_their_response_time_counts_from_them(greeter):
    class Talker(GrpcUser):
        host = greeter.url
        wait_time = arrival_rate(("0/s", "50/s", 0.2), ("50/s", 0.3))
        opened = 0

        @task
        def talk(self):
            Talker.opened += 1
            with self.client.stream(TALK, timeout=60) as talk:
                talk.send({"text": "hi"})
                talk.receive()

    results = load(Talker, users=4, seconds=2 * SOON)
    (schedule,) = schedules(results.figures)
    assert schedule["planned"] == schedule["started"] == Talker.opened == 20
    times = results["grpc", TALK].series()
    assert times["service"] == times["response"] == 20


def test_streams_that_are_open_when_a_scheduled_test_stops_are_cancelled_at_once(
    greeter, locust_env
):
    class Listener(GrpcUser):
        host = greeter.url
        wait_time = arrival_rate("100/s")
        opened = 0

        @task
        def listen(self):
            with self.client.stream(TALK, timeout=3 * SOON) as talk:
                Listener.opened += 1
                talk.receive()  # nothing comes

    locust_env.user_classes = [Listener]
    runner = locust_env.create_local_runner()
    runner.start(3, spawn_rate=3)
    until(lambda: Listener.opened == 3)
    began = now()
    runner.stop()
    assert now() - began < SOON
    figures = attach(locust_env).results()
    assert figures.outcome("grpc", TALK, "cancelled") == 3
    (schedule,) = schedules(figures)
    assert schedule["started"] == 3
    assert schedule["planned"] == 3 + schedule["unstarted"]
