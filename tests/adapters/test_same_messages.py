"""The calls that wait for messages mean the same on every protocol: one file, five of them."""

from __future__ import annotations

import gevent
import pytest

from protouser import (
    CallTimeout,
    ConnectionLost,
    attach,
    by_field,
    contains,
    expected,
    field,
    now,
    regex,
)

SOON = 30.0  # only a hang takes longer


def matches(wanted):
    """A predicate of a message's text, whatever the protocol makes of it."""
    pattern = regex(wanted)

    def test(message):
        return pattern(getattr(message, "text", message))

    return test


def texts(conversation, messages):
    return [conversation.text(message) for message in messages]


def waiting(function, *args, **options):
    greenlet = gevent.spawn(function, *args, **options)
    gevent.sleep(0)
    return greenlet


def counters(environment):
    return {key[2]: value for key, value in attach(environment).own_figures().counters.items()}


def until(condition):
    deadline = now() + SOON
    while not (found := condition()):
        assert now() < deadline, "the condition never came true"
        gevent.sleep(0.01)
    return found


def test_messages_are_received_in_the_order_of_arrival(conversation):
    conversation.send("one", (0.05, "two"))
    received = [conversation.calls.receive(timeout=SOON) for _ in range(2)]
    assert texts(conversation, received) == ["one", "two"]


def test_a_match_takes_its_message_and_leaves_the_rest(conversation):
    conversation.send("a1", (0.05, "b1"), (0.1, "a2"))
    found = conversation.calls.receive(match=matches("b"), timeout=SOON)
    rest = [conversation.calls.receive(timeout=SOON) for _ in range(2)]
    assert texts(conversation, [found, *rest]) == ["b1", "a1", "a2"]


def test_a_timeout_is_a_call_timeout_and_harms_nothing(conversation):
    with pytest.raises(CallTimeout, match=r"no message within 0\.02 s"):
        conversation.calls.receive(timeout=0.02)
    conversation.send("later")
    assert conversation.text(conversation.calls.receive(timeout=SOON)) == "later"


def test_everything_up_to_the_one_that_matches(conversation):
    conversation.send("a", (0.05, "b"), (0.1, "end"), (0.15, "after"))
    found = conversation.calls.receive_until(matches("end"), timeout=SOON)
    assert texts(conversation, found) == ["a", "b", "end"]
    assert conversation.text(conversation.calls.receive(timeout=SOON)) == "after"


def test_what_was_read_in_vain_stays_for_others(conversation):
    conversation.send("a", (0.02, "b"))
    until(lambda: len(conversation.inbox) == 2)
    with pytest.raises(CallTimeout):
        conversation.calls.receive_until(matches("end"), timeout=0.02)
    received = [conversation.calls.receive(timeout=SOON) for _ in range(2)]
    assert texts(conversation, received) == ["a", "b"]


def test_so_many_messages_are_consumed(conversation):
    conversation.send("a", (0.02, "b"), (0.04, "c"))
    found = conversation.calls.consume(count=2, timeout=SOON)
    assert texts(conversation, found) == ["a", "b"]
    with pytest.raises(CallTimeout, match=r"no 9 messages within 0\.1 s"):
        conversation.calls.consume(count=9, timeout=0.1)


def test_for_so_long_messages_are_consumed(conversation):
    conversation.send("a", (0.02, "b"), (120, "never"))
    began, found, rounds = now(), [], 0
    while len(found) < 2 and now() - began < SOON:
        found += conversation.calls.consume(for_=0.4)
        rounds += 1
    assert now() - began >= 0.4 * rounds
    assert texts(conversation, found) == ["a", "b"]
    assert conversation.calls.consume(for_=0.02) == []


def test_a_request_is_one_sample_up_to_the_arrival_of_its_reply(conversation, reports):
    reply = conversation.request((0.1, "reply"), name="ask")
    assert conversation.text(reply) == "reply"
    (report,) = [report for report in reports if report.name == "ask"]
    assert report.exception is None
    assert report.response_time >= 100


def test_an_expected_message_is_one_sample(conversation, reports):
    with conversation.calls.expect(matches("news"), timeout=SOON, name="news") as news:
        conversation.send("other", (0.1, "news"))
    assert conversation.text(news.message) == "news"
    (report,) = [report for report in reports if report.name == "news"]
    assert report.response_time >= 100
    assert conversation.text(conversation.calls.receive(timeout=SOON)) == "other"


def test_what_came_before_is_not_what_is_expected(conversation):
    conversation.send("news")
    until(lambda: len(conversation.inbox) == 1)
    with pytest.raises(CallTimeout):
        conversation.calls.expect(matches("news"), timeout=0.02).wait()
    assert conversation.text(conversation.calls.receive(timeout=SOON)) == "news"


def test_a_sequence_is_a_sample_for_each_step(conversation, reports):
    steps = [expected(matches("ack"), name="ack"), expected(matches("done"), name="done")]
    with conversation.calls.sequence(*steps) as sequence:
        conversation.send((0.1, "ack"), (0.15, "noise"), (0.2, "done"))
    assert texts(conversation, sequence.messages) == ["ack", "done"]
    times = {report.name: report.response_time for report in reports}
    assert times["ack"] >= 100
    assert times["done"] < times["ack"] + SOON * 1000
    assert conversation.text(conversation.calls.receive(timeout=SOON)) == "noise"


def test_a_step_that_does_not_come_in_its_time_fails_alone(conversation, reports):
    steps = [
        expected(matches("ack"), name="ack"),
        expected(matches("done"), timeout=0.05, name="done"),
        expected(matches("more"), name="more"),
    ]
    sequence = conversation.calls.sequence(*steps)
    conversation.send("ack")
    with pytest.raises(CallTimeout):
        sequence.wait()
    outcomes = {report.name: type(report.exception) for report in reports}
    assert outcomes["ack"] is type(None)
    assert outcomes["done"] is CallTimeout
    assert "more" not in outcomes
    conversation.send("more")
    assert conversation.text(conversation.calls.receive(timeout=SOON)) == "more"


def by_id(message):
    return by_field("id")(getattr(message, "text", message))


def correlate(message):
    return by_id(message["text"] if isinstance(message, dict) else message)


def reply(number):
    return f'{{"id": {number}}}'


def test_replies_in_any_order_find_their_requests(conversation_of, reports):
    conversation = conversation_of(correlate=correlate)
    if "mqtt" in conversation.client.schemes:
        conversation.request("warm", match=lambda _message: True, correlate=False)
    reports.clear()
    asked = [
        gevent.spawn(
            conversation.request,
            ((20 - number) / 100, reply(number)),
            id=number,
            name="ask",
            correlate=correlate,
        )
        for number in range(20)
    ]
    gevent.joinall(asked, timeout=SOON, raise_error=True)
    assert texts(conversation, [one.value for one in asked]) == [reply(n) for n in range(20)]
    own = [report for report in reports if report.name == "ask"]
    assert len(own) == 20
    assert all(report.exception is None for report in own)


def test_late_and_second_replies_go_to_nobody(conversation_of, environment, reports):
    conversation = conversation_of()
    with pytest.raises(CallTimeout, match=r"no reply within 0\.02 s"):
        conversation.request((0.5, reply(1)), id=1, timeout=0.02, correlate=correlate)
    second = conversation.request(reply(2), (0.01, reply(2)), id=2, correlate=correlate)
    assert conversation.text(second) == reply(2)
    until(lambda: {"late replies", "duplicate replies"} <= counters(environment).keys())
    assert counters(environment)["late replies"] == counters(environment)["duplicate replies"] == 1
    third = conversation.request((0.02, reply(3)), id=3, correlate=correlate)
    assert conversation.text(third) == reply(3)
    assert len(conversation.inbox) == 0
    assert "connect" not in [report.name for report in reports]


def test_the_end_wakes_everybody_who_waits(conversation):
    waits = [
        waiting(conversation.calls.receive, match=matches("never")),
        waiting(conversation.calls.receive_until, matches("never")),
        waiting(conversation.calls.consume, count=3),
        waiting(conversation.calls.expect(matches("never")).wait),
        waiting(conversation.calls.sequence(matches("never")).wait),
    ]
    conversation.close()
    conversation.client.close()
    gevent.joinall(waits, timeout=SOON)
    assert all(one.ready() and one.exception is not None for one in waits)
    if conversation.client.protocol != "grpc":  # there it is the status of the call
        assert {type(one.exception) for one in waits} == {ConnectionLost}


def test_who_is_killed_takes_no_message_along(conversation):
    killed = waiting(conversation.calls.receive)
    killed.kill()
    conversation.send("kept")
    assert conversation.text(conversation.calls.receive(timeout=SOON)) == "kept"


def test_two_wait_and_one_message_goes_to_one(conversation):
    waits = [waiting(conversation.calls.receive, timeout=SOON) for _ in range(2)]
    conversation.send("one", (0.05, "two"))
    gevent.joinall(waits, timeout=SOON)
    assert sorted(texts(conversation, [one.value for one in waits])) == ["one", "two"]


@pytest.mark.parametrize(("policy", "dropped"), [("drop", 1), ("fail", 1)])
def test_what_nobody_waits_for(conversation_of, environment, reports, policy, dropped):
    conversation = conversation_of(unmatched=policy)
    conversation.send("unasked")
    until(lambda: counters(environment).get("dropped") == dropped)
    failures = [report for report in reports if report.name == "unmatched"]
    if policy == "fail":
        until(lambda: [report for report in reports if report.name == "unmatched"])
    else:
        assert failures == []
    with conversation.calls.expect(matches("asked")) as asked:
        conversation.send("asked")
    assert conversation.text(asked.message) == "asked"


def test_what_nobody_has_read_at_the_end_is_counted(conversation, environment):
    conversation.send("one", "two", "three", "four")
    assert conversation.text(conversation.calls.receive(timeout=SOON)) == "one"
    until(lambda: len(conversation.inbox) == 3)
    conversation.close()
    conversation.client.close()
    conversation.client.close()
    assert counters(environment)["unread"] == 3


def test_matchers_of_the_core_see_the_payload(conversation):
    if conversation.client.protocol == "grpc":  # a message there has fields, and no text
        conversation.send("x y")
        assert conversation.calls.receive(match=field("text", "x y"), timeout=SOON).text == "x y"
        return
    conversation.send("no", (0.02, '{"type": "order", "id": 7}'))
    match = field("type", "order") & contains('"id"') & ~field("id", 8)
    found = conversation.calls.receive(match=match, timeout=SOON)
    assert conversation.text(found) == '{"type": "order", "id": 7}'
