"""What holds the engine together: packet identifiers, the schedule, places in flight."""

from __future__ import annotations

import contextlib
import socket

import gevent
import pytest
from gevent import get_hub

from protouser import CallTimeout, now
from protouser_mqtt import MqttClient
from protouser_mqtt._schedule import Schedule

from .conftest import SOON, until


def test_an_identifier_is_not_used_again_while_its_answer_may_still_come(scripted, client_of):
    client = client_of(scripted().url, version=5)
    with pytest.raises(CallTimeout):
        client.publish("sleep/1", b"x", 1, timeout=0.05)
    client._connection._acks._mid = 65_535  # all numbers have been used once
    with client.publish("sleep/1.5", b"x", 1, catch_response=True) as call:
        pass
    assert call.response == "No matching subscribers"
    assert call._end - call._start > 1.45, "the late answer was taken for that of another"


def test_what_is_due_is_called_in_order_and_nothing_is_left():
    schedule, called, began = Schedule(get_hub()), [], now()
    watchers = get_hub().loop.activecnt
    later = schedule.call_at(began + 60, lambda: called.append("never"))
    for delay in (0.03, 0.01, 0.02):
        schedule.call_at(began + delay, lambda delay=delay: called.append(delay))
    first = schedule.call_at(began + 0.005, lambda: called.append("never"))
    schedule.cancel(first)
    until(lambda: len(called) == 3, "the last")
    assert called == [0.01, 0.02, 0.03]
    schedule.cancel(later)
    assert (len(schedule), get_hub().loop.activecnt) == (0, watchers)


def test_one_that_raises_does_not_keep_the_others_from_being_called(capsys):
    schedule, called = Schedule(get_hub()), []
    schedule.call_at(now(), lambda: 1 / 0)
    schedule.call_at(now(), lambda: called.append(1))
    until(lambda: called, "the second")
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_entries_that_are_cancelled_in_any_order_leave_no_timer():
    schedule = Schedule(get_hub())
    watchers = get_hub().loop.activecnt
    entries = [schedule.call_at(now() + 60 + n, lambda: None) for n in range(5)]
    for place in (3, 0, 4, 1, 2):
        schedule.cancel(entries[place])
    assert (len(schedule), get_hub().loop.activecnt) == (0, watchers)


def test_a_message_that_never_left_gives_its_place_back():
    """The broker does not read for a while; what was taken back is not sent later either."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"mqtt://127.0.0.1:{listener.getsockname()[1]}"

        def serve():
            accepted, _ = listener.accept()
            accepted.recv(1000)
            accepted.sendall(b"\x20\x02\0\0")
            return stack.enter_context(accepted)

        serving = gevent.spawn(serve)
        client = stack.enter_context(MqttClient(url, timeout=SOON, max_in_flight=1).open())
        accepted = serving.get(timeout=SOON)
        large = gevent.spawn(client.publish, "t/1", b"x" * 8_000_000)
        gevent.sleep(0.05)
        for _ in range(2):
            with pytest.raises(CallTimeout, match=r"^not sent within 0\.1 s: .* does not read$"):
                client.publish("t/2", b"y", 1, timeout=0.1)
        received = bytearray()
        while not large.ready():
            received += accepted.recv(1_000_000)
        small = gevent.spawn(client.publish, "t/3", b"z", 1)
        while b"t/3" not in received:
            received += accepted.recv(1_000_000)
        assert b"t/2" not in received
        accepted.sendall(b"\x40\2" + received[-3:-1])
        assert small.get(timeout=SOON) == "Success"
