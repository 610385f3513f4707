"""Correlation: each reply goes to the request with its id, and what is late or double to nobody."""

from __future__ import annotations

import gevent
import pytest
from gevent import get_hub

from protouser import (
    CallTimeout,
    ConfigurationError,
    ConnectionLost,
    Inbox,
    by_bytes,
    by_field,
    by_regex,
    now,
)
from protouser._correlation import Correlate

SOON = 60.0


def number_of(message):
    return message[0]


@pytest.fixture
def told():
    return []


@pytest.fixture
def inbox(told):
    inbox = Inbox()
    inbox.configure(lambda counter, row: told.append((counter, row)))
    return inbox


def ask(inbox, number, timeout=SOON, match=None, identify=number_of):
    expected = inbox.ask(identify, number, row="request", match=match)
    try:
        return expected.wait(timeout, now(), "reply")[0]
    except BaseException:
        expected.cancel()
        raise


def asking(*args, **options):
    greenlet = gevent.spawn(ask, *args, **options)
    gevent.sleep(0)
    assert not greenlet.ready()
    return greenlet


def test_each_reply_goes_to_its_own_request_in_whatever_order_they_come(inbox):
    requests = [asking(inbox, number) for number in range(50)]
    for number in reversed(range(50)):
        inbox.deliver((number, f"reply {number}"), 1.0)
    replies = [request.get(timeout=SOON) for request in requests]
    assert replies == [(number, f"reply {number}") for number in range(50)]


def test_a_message_without_a_known_id_is_for_others(inbox):
    request = asking(inbox, 1)
    inbox.deliver((7, "push"), 1.0)
    inbox.deliver("", 1.0)  # the function raises on it
    assert [inbox.get(0)[0], inbox.get(0)[0]] == [(7, "push"), ""]
    inbox.deliver((1, "reply"), 1.0)
    assert request.get(timeout=SOON) == (1, "reply")


def test_a_late_reply_is_counted_and_given_to_nobody(inbox, told):
    with pytest.raises(CallTimeout):
        ask(inbox, 1, timeout=0.01)
    waiting = gevent.spawn(inbox.get, SOON)
    other = asking(inbox, 2)
    inbox.deliver((1, "late"), 1.0)
    inbox.deliver((2, "reply"), 1.0)
    assert other.get(timeout=SOON) == (2, "reply")
    assert not waiting.ready()
    assert told == [("late replies", "request")]
    waiting.kill()


def test_a_second_reply_is_counted_and_given_to_nobody(inbox, told):
    request = asking(inbox, 1)
    inbox.deliver((1, "reply"), 1.0)
    inbox.deliver((1, "again"), 1.0)
    assert request.get(timeout=SOON) == (1, "reply")
    assert told == [("duplicate replies", "request")]
    assert len(inbox) == 0


def test_the_reply_of_a_killed_request_is_late_also_when_it_was_under_way_to_it(inbox, told):
    killed = asking(inbox, 1)
    killed.kill(block=False)
    inbox.deliver((1, "reply"), 1.0)
    killed.join(SOON)
    assert told == [("late replies", "request")]
    assert len(inbox) == 0


def test_an_id_can_be_used_again_after_its_reply(inbox, told):
    for text in ("first", "second"):
        request = asking(inbox, 1)
        inbox.deliver((1, text), 1.0)
        assert request.get(timeout=SOON) == (1, text)
    assert told == []


def test_two_requests_with_one_id_at_a_time_are_an_error(inbox):
    request = asking(inbox, 1)
    with pytest.raises(ConfigurationError, match="the same id is in flight"):
        inbox.ask(number_of, 1, row="request", match=None)
    request.kill()


def test_of_several_messages_with_its_id_a_request_takes_the_one_that_matches(inbox):
    request = asking(inbox, 1, match=lambda message: message[1] == "done")
    inbox.deliver((1, "progress"), 1.0)
    inbox.deliver((1, "done"), 1.0)
    assert request.get(timeout=SOON) == (1, "done")
    assert inbox.get(0)[0] == (1, "progress")


def test_a_match_that_raises_fails_its_own_request(inbox):
    request = asking(inbox, 1, match=lambda message: message["type"])
    inbox.deliver((1, "reply"), 1.0)
    with pytest.raises(TypeError):
        request.get(timeout=SOON)


def test_the_end_wakes_every_request_at_once(inbox):
    requests = [asking(inbox, number) for number in range(3)]
    get_hub().loop.run_callback(inbox.end, ConnectionLost("gone"))
    gevent.joinall(requests, timeout=SOON)
    assert [str(request.exception) for request in requests] == ["gone"] * 3
    with pytest.raises(ConnectionLost, match="gone"):
        inbox.ask(number_of, 9, row="request", match=None)


def test_overdue_requests_end_and_the_others_go_on(inbox):
    overdue = [asking(inbox, number, timeout=0.02) for number in range(3)]
    patient = asking(inbox, 9)
    gevent.joinall(overdue, timeout=SOON)
    assert [type(request.exception) for request in overdue] == [CallTimeout] * 3
    inbox.deliver((9, "reply"), 1.0)
    assert patient.get(timeout=SOON) == (9, "reply")


def test_a_timeout_says_that_the_function_raised_on_what_came(inbox):
    request = asking(inbox, 1, timeout=0.3)
    inbox.deliver({"id": 1}, 1.0)
    with pytest.raises(CallTimeout, match="correlate= raised KeyError on a message that came"):
        request.get(timeout=SOON)


def test_lambdas_written_in_a_task_are_one_function(inbox, told):
    for number in range(30):
        request = asking(inbox, number, identify=lambda message: message[0])
        inbox.deliver((number, "reply"), 1.0)
        request.get(timeout=SOON)
    inbox.deliver((0, "again"), 1.0)
    assert told == [("duplicate replies", "request")]


def test_two_ways_to_find_an_id_live_on_one_connection(inbox):
    first = asking(inbox, 1, identify=lambda message: message[0])
    second = asking(inbox, "b", identify=lambda message: message[1])
    inbox.deliver((7, "b"), 1.0)
    inbox.deliver((1, "c"), 1.0)
    assert (first.get(timeout=SOON), second.get(timeout=SOON)) == ((1, "c"), (7, "b"))


def test_an_id_that_one_function_has_answered_is_awaited_under_another(inbox, told):
    identify = lambda message: message[1]  # noqa: E731
    answered = asking(inbox, 1)
    inbox.deliver((1, "a"), 1.0)
    assert answered.get(timeout=SOON) == (1, "a")
    waiting = asking(inbox, "b", identify=identify)
    inbox.deliver((1, "b"), 1.0)  # of the past by the first function, awaited by the second
    assert waiting.get(timeout=SOON) == (1, "b")
    assert told == []
    inbox.deliver((1, "b"), 1.0)
    assert told == [("duplicate replies", "request")]


def test_an_id_that_one_function_gave_up_is_awaited_under_another(inbox, told):
    with pytest.raises(CallTimeout):
        ask(inbox, 1, timeout=0.01)
    waiting = asking(inbox, "b", identify=lambda message: message[1])
    inbox.deliver((1, "b"), 1.0)
    assert waiting.get(timeout=SOON) == (1, "b")
    inbox.deliver((1, "c"), 1.0)
    assert told == [("late replies", "request")]


def test_memory_of_the_past_is_bounded(inbox):
    for number in range(5_000):
        request = gevent.spawn(ask, inbox, number)
        gevent.sleep(0)
        inbox.deliver((number, ""), 1.0)
        request.join(SOON)
    (correlation,) = inbox._correlations.known.values()
    assert len(correlation._answered) + len(correlation._answered_before) <= 2_000
    assert not correlation.pending


@pytest.mark.parametrize(
    ("find", "message", "found"),
    [
        (by_field("header.id"), b'{"header": {"id": 7}}', 7),
        (by_field("header.id"), '{"header": {"id": "a"}}', "a"),
        (by_field("id"), {"id": 3}, 3),
        (by_field("id"), "{}", None),
        (by_field("id"), "no json", None),
        (by_regex(r"id=(\d+)"), b"x id=12 y", "12"),
        (by_regex(r"\d+"), "x 12 y", "12"),
        (by_regex(r"id=(\d+)"), "none", None),
        (by_bytes(0, 2), b"\x01\x02rest", 0x0102),
        (by_bytes(0, 2, "little"), b"\x01\x02rest", 0x0201),
        (by_bytes(1, 3), "abc", 0x6263),
        (by_bytes(0, 4), b"abc", None),
    ],
)
def test_where_an_id_stands(find, message, found):
    assert find(message) == found


def test_what_is_written_alike_is_equal():
    assert by_field("a.b") == by_field("a.b") != by_field("a.c")
    assert hash(by_regex("x")) == hash(by_regex("x"))
    assert by_bytes(0, 2) != by_bytes(0, 2, "little")


@pytest.mark.parametrize("given", [7, "id", (len,), (len, 3)])
def test_what_finds_no_ids_is_refused(given):
    with pytest.raises(ConfigurationError, match="correlate="):
        Correlate.of(given)


def test_an_id_that_cannot_be_looked_up_is_refused():
    with pytest.raises(ConfigurationError, match="a list, which cannot be an id"):
        Correlate.of(lambda message: [message]).id_of("x")
    with pytest.raises(ConfigurationError, match="holds no byte"):
        by_bytes(2, 2)
