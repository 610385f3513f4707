"""``load``: when a small load ends."""

from locust import constant, task

from protouser import ProtocolUser
from protouser.testing import load


def test_a_load_ends_as_soon_as_what_it_is_for_has_happened():
    calls = []

    class Caller(ProtocolUser):
        wait_time = constant(0.001)

        @task
        def call(self):
            calls.append(self)

    results = load(Caller, users=2, seconds=60, until=lambda: len(calls) >= 10)
    assert len(calls) >= 10
    assert results.seconds < 50
