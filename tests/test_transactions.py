"""Transactions: calls under one name, their time, and what they fail by."""

from __future__ import annotations

from locust import task
from locust.exception import StopUser

import gevent

from protouser import ProtocolUser, before_call
from protouser.testing import load

ROW = ("transaction", "checkout")


def run(body, until=None, **more):
    def act(self):
        body(self)
        raise StopUser

    kind = type("Buyer", (ProtocolUser,), {"act": task(act), **more})
    return load(kind, users=1, seconds=60, until=until)


def call(user, name, seconds=0.0, failure=None):
    with user.measure(name) as made:
        gevent.sleep(seconds)
        if failure:
            made.failure(failure)


def test_a_transaction_is_a_row_with_the_time_in_its_calls_apart():
    def body(user):
        with user.transaction("checkout"):
            call(user, "add", 0.02)
            gevent.sleep(0.2)
            call(user, "pay", 0.02)

    results = run(body)
    row = results[ROW]
    assert row.successes == 1
    assert row.series() == {"service": 1, "calls": 1}
    assert row.percentile(1.0) >= 0.24
    assert row.percentile(1.0, series="calls") < row.percentile(1.0) - 0.15
    assert [report.request_type for report in results.reports] == ["Buyer", "Buyer", "transaction"]


def test_a_transaction_fails_with_the_first_call_that_failed_in_it():
    def body(user):
        with user.transaction("shopping"), user.transaction("checkout"):
            call(user, "add", failure="sold out")
            call(user, "pay", failure="no money")

    results = run(body)
    assert results[ROW].failures == 1
    reasons = {r.name: str(r.exception) for r in results.reports if r.request_type == "transaction"}
    assert reasons == {
        "checkout": "Buyer add failed",
        "shopping": "transaction checkout failed",
    }


def test_an_exception_fails_the_call_and_its_transaction_once_each():
    def body(user):
        try:
            with user.transaction("checkout"), user.measure("pay"):
                raise ValueError("broken")
        finally:
            caught.append(user._transaction)

    caught = []
    results = run(body, until=lambda: caught)
    assert results[ROW].failures == results["Buyer", "pay"].failures == len(caught)
    assert set(caught) == {None}
    assert results.errors == []


def test_a_kill_in_the_middle_cancels_it():
    def body(user):
        with user.transaction("checkout"):
            call(user, "pay", failure="no money")
            gevent.sleep(60)

    def act(self):
        body(self)

    class_ = type("Buyer", (ProtocolUser,), {"act": task(act)})
    results = load(class_, users=1, seconds=0.3)
    assert results[ROW].cancelled == 1
    assert results[ROW].failures == 0


def test_calls_of_a_greenlet_of_the_user_count_and_hooks_leave_it_alone():
    def body(user):
        with user.transaction("checkout"):
            user.spawn(call, user, "add", failure="sold out").join()

    seen = []
    hook = before_call(lambda self, made: seen.append(made.name))
    results = run(body, hook=hook)
    assert results[ROW].failures == 1
    assert seen == ["add"]
