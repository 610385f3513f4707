"""Feeders that a test has declared are no other test's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from protouser.feeders import _feeding


@pytest.fixture(autouse=True)
def _nothing_declared_after() -> Iterator[None]:
    before = set(_feeding._declared)
    yield
    # a class is garbage only when the collector comes round, and so is the feeder that it names
    for feeder in set(_feeding._declared) - before:
        _feeding._declared.discard(feeder)
