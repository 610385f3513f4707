"""Matchers: what they find, how they combine, and what they say when a check fails by them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import ProtocolUser, contains, equals, field, regex
from protouser.testing import capture


@dataclass(frozen=True)
class Message:
    """As an adapter may deliver it."""

    payload: object


ORDER = {"type": "ack", "order": {"items": [{"price": 3}, {"price": None}]}, "ok": False}


@pytest.mark.parametrize(
    ("matcher", "message", "found"),
    [
        (equals("pong"), "pong", True),
        (equals("pong"), b"pong", True),
        (equals(b"pong"), "pong", True),
        (equals("pong"), "pong ", False),
        (equals(ORDER), ORDER, True),
        (equals("x"), Message(b"x"), True),
        (equals(Message("x")), Message("x"), True),
        (contains("on"), "pong", True),
        (contains("on"), b"pong", True),
        (contains(3), [1, 2, 3], True),
        (contains("x"), None, False),
        (contains("x"), 5, False),
        (regex("^p.n"), b"ping", True),
        (regex("^i"), "ping", False),
        (regex("x"), 5, False),
        (field("type", "ack"), json.dumps(ORDER), True),
        (field("type", "ack"), json.dumps(ORDER).encode(), True),
        (field("type", "nack"), ORDER, False),
        (field("order.items[0].price", 3), ORDER, True),
        (field("order.items[-1].price", None), ORDER, True),
        (field("order.items[1].price"), ORDER, True),
        (field("order.items[2].price"), ORDER, False),
        (field("order.items[0].price", lambda price: price > 2), ORDER, True),
        (field("ok", False), ORDER, True),
        (field("ok"), ORDER, True),
        (field("missing"), ORDER, False),
        (field("type"), "no json", False),
        (field("type"), "", False),
        (field("type"), b"\xff", False),
        (field("type.more"), ORDER, False),
        (field("text", "hi"), SimpleNamespace(text="hi"), True),
        (field("type", "ack"), Message(json.dumps(ORDER)), True),
        (field("type", "ack") & field("ok", False), ORDER, True),
        (field("type", "ack") & (lambda order: order["ok"]), ORDER, False),
        ((lambda order: order["ok"]) | field("type", "ack"), ORDER, True),
        (~equals("pong"), "ping", True),
        (~(equals("a") | equals("b")), "b", False),
    ],
)
def test_a_matcher_finds_what_it_says(matcher, message, found):
    assert matcher(message) is found


@given(st.text() | st.binary() | st.none() | st.integers() | st.lists(st.integers()))
def test_no_message_makes_a_matcher_raise(message):
    for matcher in (equals("x"), contains("x"), regex("x"), field("a[0].b", 1)):
        assert matcher(message) in (True, False)
        assert (matcher & ~matcher)(message) is False
        assert (matcher | ~matcher)(message) is True


def test_a_matcher_says_what_it_looks_for():
    assert repr(equals("pong") & ~field("a.b", 1)) == "(equals('pong') & ~field('a.b', 1))"


def test_a_check_that_fails_shows_what_was_looked_for_and_what_came(locust_env):
    user = ProtocolUser(locust_env)
    ask = user.timed(lambda: "nack", check=equals("ack"), names="ask")
    with capture(locust_env) as reports:
        ask()
    assert [str(report.exception) for report in reports] == ["expected equals('ack'), got 'nack'"]
