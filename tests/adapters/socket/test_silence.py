"""Silence: told once nothing was heard for so long, and never while bytes may be waiting."""

from __future__ import annotations

import locust  # noqa: F401  first: it patches the standard library for gevent

import gevent
import pytest
from gevent.event import Event

from protouser import now
from protouser_socket._silence import Silence

SHORT = 0.05
SOON = 30.0  # only a hang takes longer


class Told(Event):
    """Notes when it was told."""

    at = 0.0
    times = 0

    def __call__(self):
        self.at = now()
        self.times += 1
        self.set()


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def silence(told):
    silence = Silence(SHORT, told)
    yield silence
    silence.close()


def test_it_is_told_once_after_the_last_that_was_heard(silence, told):
    silence.heard(now())
    gevent.sleep(0)
    keep_the_hub_busy(SHORT / 2)
    last = now()
    silence.heard(last)
    assert told.wait(SOON)
    assert told.at - last >= SHORT
    assert silence.since == last
    assert not told.clear()
    assert not told.wait(SHORT * 3)
    silence.heard(now())
    assert told.wait(SOON)
    assert told.times == 2


def test_nothing_is_told_before_anything_was_heard(silence, told):
    silence.resume()
    assert not told.wait(SHORT * 3)


def test_nothing_is_told_after_the_close(silence, told):
    silence.heard(now())
    silence.close()
    silence.heard(now())
    silence.resume()
    assert not told.wait(SHORT * 3)


def test_nothing_is_told_while_nobody_listens(silence, told):
    silence.heard(now())
    silence.pause()
    assert not told.wait(SHORT * 3)
    resumed = now()
    silence.resume()
    assert told.wait(SOON)
    assert told.at - resumed >= SHORT


def keep_the_hub_busy(seconds):
    until = now() + seconds
    while now() < until:
        pass


def test_a_loop_that_is_late_reads_before_it_believes_in_silence(told):
    """What arrived while the hub was busy is seen in the same turn as the timer, but after it."""
    seconds = 0.4
    silence = Silence(seconds, told)
    left, right = gevent.socket.socketpair()
    reader = gevent.get_hub().loop.io(left.fileno(), 1)
    with left, right:
        reader.start(lambda: (left.recv(10), silence.heard(now())))
        silence.heard(now())
        for _ in range(2):
            right.send(b"x")
            keep_the_hub_busy(seconds * 1.5)
            gevent.sleep(0)
            gevent.sleep(0.01)
            assert told.times == 0
        reader.stop()
        reader.close()
    assert told.wait(SOON)
    silence.close()
