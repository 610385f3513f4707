"""Hooks around the calls of every adapter: once, in order, may change and veto, untimed."""

from __future__ import annotations

import gevent
import pytest

from protouser import CallTimeout, after_call, before_call, on_failure

from .hooked import CALLS, KINDS, SECONDS, row_of, run


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_run_once_in_order_and_may_change_the_request(servers, kind):
    said = []

    @before_call("it", protocol=CALLS[kind][0])
    def first(self, call):
        said.append("first")
        CALLS[kind][2](call.request)

    @before_call("i*")
    def second(self, call):
        said.append("second")

    @after_call
    def third(self, call):
        said.append((call.outcome, call.reason))

    hooks = {
        "a": first,
        "b": second,
        "c": third,
        "d": before_call("other")(lambda self, call: said.append("other")),
    }
    results, got = run(servers, kind, hooks)
    assert results.errors == []
    assert got == [CALLS[kind][3]]
    assert said == ["first", "second", ("success", None)]
    assert row_of(results, kind).successes == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_veto_is_counted_and_nothing_is_sent(servers, kind):
    hooks = {"veto": before_call("it")(lambda self, call: call.skip("not today"))}
    results, got = run(servers, kind, hooks)
    assert got == [None if kind == "timed" else "skipped"]
    assert row_of(results, kind).skipped == 1
    assert [report.name for report in results.reports if report.name == "it"] == []


#: By kind of gRPC call: requests to which the server has no answer in time.
UNANSWERED = {
    "unary": ("SayHello", {"name": "sleep 90"}),
    "server stream": ("Count", {"to": 2, "gap_ms": 90_000}),
    "client stream": ("Sum", None),
    "both": ("Talk", [{"text": "sleep 90"}]),
}


def endless():
    """Requests that do not come to an end."""
    while True:
        yield {"number": 1}
        gevent.sleep(0.05)


@pytest.mark.parametrize("engine", ["aio", "gevent"])
@pytest.mark.parametrize("kind", UNANSWERED)
def test_a_hook_may_set_the_deadline_of_a_grpc_call(servers, kind, engine):
    @before_call("it")
    def hurry(self, call):
        assert call.request.timeout == SECONDS
        call.request.timeout = 0.2

    def body(user):
        method, asked = UNANSWERED[kind]
        try:
            asked = endless() if asked is None else asked
            answer = user.client.call(f"test.Greeter/{method}", asked, name="it", timeout=SECONDS)
            return list(answer)
        except CallTimeout as error:
            return str(error)

    results, got = run(servers, kind, {"hurry": hurry, "engine": engine}, body)
    assert got == ["DEADLINE_EXCEEDED: no answer within 0.2 s"]
    assert row_of(results, kind).failures == 1


@pytest.mark.parametrize("engine", ["aio", "gevent"])
@pytest.mark.parametrize("kind", UNANSWERED)
def test_a_hook_may_change_the_metadata_of_a_grpc_call(servers, kind, engine):
    @before_call("it")
    def sign(self, call):
        metadata = call.request.metadata
        assert metadata["x-own"] == "of the call"
        metadata["x-own"] = "of the hook"
        metadata["x-token"] = "abc"
        metadata.add("x-token", "def")

    def body(user):
        method = UNANSWERED[kind][0]
        rpc = getattr(user.client.channel, METHODS[kind])(f"/test.Greeter/{method}")
        asked = iter([b""]) if kind in ("client stream", "both") else b""
        call = getattr(rpc, "with_call", None)
        options = {"metadata": {"x-own": "of the call"}, "name": "it"}
        if call is None:
            with rpc(asked, **options) as stream:
                return stream.initial_metadata()
        return call(asked, **options)[1].initial_metadata()

    _, (back,) = run(servers, kind, {"sign": sign, "engine": engine}, body)
    sent = [("x-own", "of the hook"), ("x-token", "abc"), ("x-token", "def")]
    assert [pair for pair in map(tuple, back) if pair[0].startswith("x-")] == sent


METHODS = {
    "unary": "unary_unary",
    "server stream": "unary_stream",
    "client stream": "stream_unary",
    "both": "stream_stream",
}


def test_a_hook_may_change_all_of_what_mqtt_publishes(broker_port, debian):
    debian("mosquitto", broker_port)
    url, topic = f"mqtt://127.0.0.1:{broker_port}", "hooks/of/{of}"

    @before_call("publish *", protocol="mqtt")
    def change(self, call):
        asked = call.request
        assert (asked.topic, asked.payload, asked.qos, asked.retain) == ("a", "x", 0, False)
        asked.topic, asked.fields = topic, {"of": "them"}
        asked.payload, asked.qos, asked.retain = "y", 1, True
        asked.properties = {"UserProperty": [("key", "value")], "ContentType": "text/plain"}

    def body(user):
        said = user.client.publish("a", "x")
        user.client.subscribe("hooks/of/them")
        return said, user.client.receive(timeout=SECONDS)

    results, got = run({"mqtt": url}, "mqtt", {"change": change, "version": 5}, body)
    ((said, message),) = got
    assert said in ("Success", "No matching subscribers")
    assert (message.topic, message.payload, message.retain) == ("hooks/of/them", b"y", True)
    assert message.properties["ContentType"] == "text/plain"
    assert message.properties["UserProperty"] == [("key", "value")]
    row = results["mqtt", "publish a"]
    assert (row.successes, row.one_way) == (1, 0), "it had an acknowledgement"


@pytest.mark.parametrize("kind", KINDS)
def test_an_after_hook_turns_the_result_and_a_failure_is_told_of(servers, kind):
    told = []

    @on_failure(protocol=CALLS[kind][0])
    def tell(self, call):
        told.append(str(call.reason))
        call.success()  # too late

    hooks = {"turn": after_call("it")(lambda self, call: call.failure("no")), "tell": tell}
    results, _ = run(servers, kind, hooks)
    assert told == ["no"]
    assert row_of(results, kind).failures == 1


class Pauses:
    """Hooks that take 100 ms each where they are on, and how long the calls took."""

    def __init__(self):
        self.on = False
        self.times = {False: [], True: []}

    def before(self, call):
        if hasattr(call.request, "qos"):
            call.request.qos = 1  # what is one-way has no time
        self.pause(self.on)

    def after(self, call):
        self.pause(self.on)
        self.times[self.on].append(call.seconds)

    def pause(self, on):
        if on:
            gevent.sleep(0.1)

    def differ(self):
        return abs(min(self.times[True]) - min(self.times[False])) > 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_of_100_ms_change_no_response_time_and_are_a_series_of_their_own(servers, kind):
    """The best of some calls, since the machine may be busy; time of the hooks would be in all."""
    pauses = Pauses()

    def body(user):
        for done in range(1, 30):
            for pauses.on in (False, True):
                pauses.pause(not pauses.on)  # so that both come after a pause
                CALLS[kind][1](user)
            if done > 1 and not pauses.differ():
                break
        return done

    hooks = {
        "before": before_call("it")(lambda self, call: pauses.before(call)),
        "after": after_call("it")(lambda self, call: pauses.after(call)),
    }
    results, (done,) = run(servers, kind, hooks, body)
    assert not pauses.differ(), pauses.times
    row = row_of(results, kind)
    assert row.successes == 2 * done
    assert row.percentile(1.0, series="hooks") >= 0.199
    reported = [report.response_time for report in results.reports if report.name == "it"]
    both = sorted([*pauses.times[False], *pauses.times[True]])
    assert sorted(reported) == pytest.approx([1000 * seconds for seconds in both])
