"""Assertions and extractors: what they accept, and how they say what is wrong."""

from __future__ import annotations

from locust import task
from locust.exception import StopUser

import sys

import pytest

from protouser import (
    ConfigurationError,
    NotFound,
    ProtocolUser,
    after_call,
    contains,
    duration,
    equals,
    extract_field,
    extract_json,
    extract_regex,
    json_path,
    size,
)
from protouser._extractors import _compiled
from protouser.testing import load

SHOP = b'{"orders": [{"id": 7, "price": 9.5}, {"id": 8, "price": 20}], "user": {"name": "Ann"}}'


def reason_of(check, response, method="check"):
    class User(ProtocolUser):
        @after_call
        def verify(self, call):
            if method == "verify":
                call.verify(check)

        @task
        def act(self):
            given = check if method == "check" else None
            with self.measure("make", check=given) as call:
                call.response = response
            raise StopUser

    (report,) = load(User, users=1, seconds=5).reports
    return None if report.exception is None else str(report.exception)


@pytest.mark.parametrize("method", ["check", "verify"])
def test_an_assertion_decides_as_check_and_in_an_after_hook(method):
    assert reason_of(equals(b"pong"), b"pong", method) is None
    assert reason_of(size(4) & duration(below=60), b"pong", method) is None
    assert reason_of(contains("o") & ~duration(below=60), b"pong", method) is not None
    assert reason_of(duration(below=1e-9), b"pong", method).startswith(
        "expected duration(below=1e-09), got <"
    )
    assert reason_of(size(at_most=3), b"pong", method) == "expected size(0 to 3), got b'pong'"
    assert reason_of(equals("ping"), b"pong", method) == "expected equals('ping'), got b'pong'"


def test_a_long_difference_is_shown_where_it_is():
    got = b"x" * 500 + b"got" + b"y" * 500
    wanted = b"x" * 500 + b"wanted" + b"y" * 500
    reason = reason_of(equals(wanted), got)
    assert reason.startswith("differs at 500: expected b'xxxxxxxxxxwanted")
    assert len(reason) <= 100


def test_values_are_extracted_from_text_json_and_objects():
    assert extract_regex(r"id=(\d+)", b"a id=42 b") == "42"
    assert extract_regex(r"(?P<key>\w+)=\d+", "id=42", group="key") == "id"
    assert extract_field("orders[1].id", SHOP) == 8
    assert extract_json("$.orders[?@.price < 10].id", SHOP) == 7
    assert json_path("$.user.name", "Ann")(SHOP)
    assert json_path("$.orders[*].price", lambda price: price > 15)(SHOP)
    assert not json_path("$.user.age")(SHOP)


def test_what_is_not_found_is_said_or_replaced():
    assert extract_regex("x(.)", "none", default=None) is None
    assert extract_json("$.nothing", SHOP, default=0) == 0
    with pytest.raises(NotFound, match=r"nothing matches 'x\(\.\)' in 'none'"):
        extract_regex("x(.)", "none")
    with pytest.raises(NotFound, match=r"there is no field 'user\.age' in b'"):
        extract_field("user.age", SHOP)
    with pytest.raises(ConfigurationError, match="has no group 1"):
        extract_regex("x", "x")
    with pytest.raises(ConfigurationError, match="is no JSON path"):
        json_path("$[")
    with pytest.raises(ConfigurationError, match="seconds, and above 0"):
        duration(below=0)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jsonpath", None)
    _compiled.cache_clear()
    with pytest.raises(ConfigurationError, match=r'pip install "protouser\[jsonpath\]"'):
        json_path("$.a")
