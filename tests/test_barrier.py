"""All users connected, then go: the gate as such, and users that wait at one."""

from __future__ import annotations

from locust import constant, task
from locust.env import Environment

import gevent
from hypothesis import given
from hypothesis import strategies as st

from protouser import ProtocolUser
from protouser._gate import Attendance, Gate
from protouser.testing import load

ROW = ("op", "wait for all: ready")
counts = st.integers(0, 5)
attendances = st.builds(Attendance, counts, counts, counts, st.booleans())


@given(st.lists(st.tuples(st.sampled_from("abc"), attendances)), st.sets(st.sampled_from("abc")))
def test_a_gate_opens_when_all_that_are_alive_wait_and_stays_open(said, present):
    gate, last, was_open = Gate(), {}, False
    for worker, attendance in said:
        gate.note(worker, attendance)
        last[worker] = attendance
        here = [last.get(worker, Attendance()) for worker in present]
        complete = (
            all(each.settled for each in here)
            and sum(each.waiting for each in here) >= sum(each.alive for each in here)
            and any(each.waiting for each in here)
            and sum(each.told for each in here) == 4
        )
        was_open = was_open or complete
        assert gate.try_open(present, 4) == was_open


@given(attendances)
def test_an_attendance_comes_back_from_the_wire(attendance):
    assert Attendance.from_wire(attendance.to_wire()) == attendance


class Waiting(ProtocolUser):
    abstract = True
    protocol = "op"
    wait_time = constant(0.02)

    @task
    def work(self):
        with self.measure("work"):
            pass


def test_nobody_goes_before_the_last_has_come():
    came, went, worked = [], [], []

    class User(Waiting):
        def on_start(self):
            gevent.sleep(0.1 * len(came))
            came.append(self)
            self.wait_for_all("ready", timeout=60)
            went.append(len(came))

        @task
        def note(self):
            worked.append(self)

    results = load(User, users=4, seconds=60, until=lambda: len(set(worked)) == 4)
    assert went == [4, 4, 4, 4]
    assert results[ROW].one_way == 4
    assert results["op", "work"].successes
    assert [report.response_time for report in results.reports if report.name == ROW[1]] == [
        None
    ] * 4


def test_a_user_that_ended_is_not_waited_for():
    started, went = [], []

    class User(Waiting):
        def connect(self):
            started.append(self)
            if len(started) == 1:
                raise ConnectionRefusedError("no")

        def on_start(self):
            self.wait_for_all("ready", timeout=60)
            went.append(self)

    results = load(User, users=3, seconds=60, until=lambda: len(went) == 2)
    assert results[ROW].one_way == 2
    assert results["op", "work"].successes


def test_who_waits_in_vain_learns_how_many_came():
    started, gone = [], []

    class User(Waiting):
        def on_start(self):
            started.append(self)
            if len(started) > 1:
                try:
                    self.wait_for_all("ready", timeout=1.5)
                finally:
                    gone.append(self)

    results = load(User, users=3, seconds=60, until=lambda: len(gone) == 2)
    reasons = {str(report.exception) for report in results.reports if report.name == ROW[1]}
    assert "only 2 of 3 users came within 1.5 s" in reasons
    assert results[ROW].failures == 2
    assert results.errors == []


def test_a_stop_ends_the_wait_at_once_and_it_is_cancelled():
    started = []

    class User(Waiting):
        def on_start(self):
            started.append(self)
            if len(started) > 1:
                self.wait_for_all("ready", timeout=100)

    results = load(User, users=3, seconds=60, stop_timeout=60, until=lambda: len(started) == 3)
    assert results[ROW].cancelled == 2
    assert results.seconds < 50


def test_a_user_without_a_runner_does_not_wait():
    class User(Waiting):
        def on_start(self):
            self.wait_for_all("ready", timeout=0.1)

    user = User(Environment())
    user.on_start()
    user.on_stop()
