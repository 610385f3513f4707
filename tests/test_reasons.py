"""The reasons of failures: as they are said, and bounded where each call says another."""

from __future__ import annotations

from locust import constant, task
from locust.env import Environment

import pytest

from protouser import ProtocolUser, attach


class Shop(ProtocolUser):
    protocol = "shop"
    wait_time = constant(0)

    @task
    def nothing(self):
        """Its calls are made by the tests."""


@pytest.fixture
def user():
    environment = Environment()
    environment.create_local_runner()
    user = Shop(environment)
    yield user
    user._close()
    environment.runner.quit()


def fail(user, reason, name="buy"):
    with user.measure(name) as call:
        call.failure(reason)


def table(user):
    """Locust's table of failures: reasons and how often they occurred."""
    errors = user.environment.runner.stats.errors.values()
    return {error.to_name().partition(": ")[2]: error.occurrences for error in errors}


def test_reasons_that_differ_from_call_to_call_are_grouped_without_their_numbers(user, caplog):
    for number in range(500):
        fail(user, f"no order {number} of client-{number:04x} at 12:30:{number % 60}")
    found = table(user)
    assert len(found) == 21
    assert found["no order 0 of client-0000 at 12:30:0"] == 1
    assert found["no order * of * at *:*:*"] == 480
    assert caplog.text.count("failures have 20 different reasons") == 1


def test_what_has_no_numbers_is_counted_in_the_end_without_its_words(user):
    words = [f"{one}{two}" for one in "abcdefghijklmnop" for two in "abcdefghijklmnop"]
    for word in words:
        fail(user, f"no such thing: {word}")
    found = table(user)
    assert len(found) == 41
    assert found["(other reasons)"] == len(words) - 40
    assert sum(found.values()) == len(words)


def test_each_row_has_reasons_of_its_own_and_known_ones_stay(user):
    for number in range(60):
        fail(user, f"no order {number}")
    fail(user, "no order 7")
    fail(user, "no order 77", name="sell")
    found = table(user)
    assert found["no order 7"] == 2
    assert found["no order 77"] == 1


def test_exceptions_are_grouped_like_words_and_hooks_see_them_as_they_are(user):
    heard, seen = [], []
    user.environment.events.request.add_listener(lambda exception, **_: heard.append(exception))
    for number in range(60):
        call = user.measure("buy")
        with pytest.raises(LookupError), call:
            raise LookupError(f"row {number}")
        seen.append(call.reason or call.error)
    assert table(user)["LookupError('row *')"] == 40
    assert [str(error) for error in seen] == [f"row {number}" for number in range(60)]
    assert heard[-1].__cause__ is seen[-1]


def test_another_test_begins_with_no_reasons(user):
    for number in range(60):
        fail(user, f"no order {number}")
    user.environment.runner.stats.clear_all()
    attach(user.environment).start()
    fail(user, "no order 1001")
    assert table(user) == {"no order 1001": 1}
