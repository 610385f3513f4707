"""The verdict: which rule says what, and small loads that are limited by each cause."""

from __future__ import annotations

from locust import constant, task
from locust.env import Environment
from locust.stats import console_logger

import json
import math
import random
from dataclasses import replace

import gevent
import pytest
from gevent.monkey import get_original
from hypothesis import given
from hypothesis import strategies as st

from protouser import Feeder, ProtocolUser, arrival_rate, now
from protouser._attach import attach
from protouser._results import document
from protouser._session import Session
from protouser._summary import log_summary
from protouser.testing import load
from protouser.verdict import (
    BLOCKED,
    CPU,
    DATA,
    STARVED,
    THREADS,
    USERS,
    Blocked,
    Busy,
    Ledger,
    Observation,
    Waited,
    judge,
)

native_sleep = get_original("time", "sleep")

LONG = 60  # seconds, for what ends by itself long before


def seconds(number, begin=0, **values):
    return [Observation(at=float(begin + n), seconds=1.0, users=5, **values) for n in range(number)]


def verdict_of(*observations, p99=0.05, worker=""):
    return judge({worker: Ledger.of(observations)}, p99)


IDLE = {"cpu": 0.3, "hub": 0.3, "starved": 0.0, "lag_p99": 0.002, "lag_max": 0.003}
LINE = Blocked("/home/me/shop.py", 12, "buy", 0.4, 0.0)


def test_an_idle_generator_is_no_bottleneck():
    verdict = verdict_of(*seconds(60, **IDLE, started=100))
    assert not verdict.limited
    assert verdict.line() == "client-limited: no"
    assert verdict.as_json() == {"limited": False, "observed": 60.0, "causes": []}


def test_without_a_second_nothing_is_known():
    assert "not known" in judge({}).line()
    assert "not known" in verdict_of().line()


@pytest.mark.parametrize(
    ("cause", "values"),
    [
        (BLOCKED, {"blocks": (LINE,)}),
        (CPU, {"cpu": 0.99, "hub": 0.97}),
        (CPU, {"cpu": 0.99, "hub": 0.2, "lag_p99": 0.011}),
        (CPU, {"cpu": 0.4, "hub": 0.4, "starved": 0.58}),
        (STARVED, {"lag_p99": 0.08, "starved": 0.3}),
        (STARVED, {"lag_p99": 0.08, "starved": -1.0}),
        (STARVED, {"scheduler_lag": 0.05, "starved": 0.3}),
        (BLOCKED, {"lag_p99": 0.08}),
        (USERS, {"started": 100, "late": 2}),
        (USERS, {"started": 100, "dropped": 1}),
        (DATA, {"data": (Waited("rows.csv", 0.1, 5.0),)}),
        (THREADS, {"threads": (Waited("sql select", 0.5, 1.0),)}),
    ],
)
def test_each_cause_is_named_from_when_it_began(cause, values):
    sound, bad = seconds(10, **IDLE), seconds(10, begin=10, **{**IDLE, **values})
    verdict = verdict_of(*sound, *bad, p99=0.2, worker="worker 1 on here")
    assert [each.cause for each in verdict.causes] == [cause]
    (found,) = verdict.causes
    assert (found.worker, found.since) == ("worker 1 on here", 10.0)
    assert 0 < found.weight <= 1
    assert verdict.line().startswith(f"client-limited: yes - {found.text}; {found.remedy}")
    assert "second 10 (worker 1 on here)" in found.text


@pytest.mark.parametrize(
    "values",
    [
        {"cpu": 0.85, "hub": 0.85},
        {"cpu": 1.8, "hub": 0.3, "lag_p99": 0.002},  # C code in threads is nobody's limit
        {"lag_p99": 0.015},
        {"started": 1000, "late": 5},
        {"data": (Waited("rows.csv", 0.001, 5.0),)},
        {"threads": (Waited("sql select", 0.01, 1.0),)},
    ],
)
def test_what_no_figure_shows_is_no_cause(values):
    assert verdict_of(*seconds(20, **{**IDLE, **values})).line() == "client-limited: no"


def test_spawning_may_fill_a_processor_for_a_moment():
    busy = {**IDLE, "cpu": 1.0, "hub": 1.0}
    assert not verdict_of(*seconds(1, **busy), *seconds(9, **IDLE)).limited
    assert not verdict_of(*seconds(3, **busy), *seconds(90, **IDLE)).limited
    assert verdict_of(*seconds(6, **busy), *seconds(90, **IDLE)).limited


def test_lateness_matters_beside_what_is_measured():
    late = seconds(20, **{**IDLE, "lag_p99": 0.03, "starved": 0.3})
    assert verdict_of(*late, p99=0.1).limited
    assert not verdict_of(*late, p99=1.0).limited


def test_a_short_block_in_a_long_test_is_no_cause():
    rare = [*seconds(1, **IDLE, blocks=(LINE,)), *seconds(599, **IDLE)]
    assert not verdict_of(*rare).limited
    assert verdict_of(*rare[:100]).limited


def test_a_line_that_computes_has_another_remedy_than_one_that_waits():
    waits = verdict_of(*seconds(3, **IDLE, blocks=(LINE,))).causes[0]
    computes = verdict_of(*seconds(3, **IDLE, blocks=(LINE._replace(busy=0.39),))).causes[0]
    assert waits.text.endswith("blocked for 1.2 s from second 0 at /home/me/shop.py:12 (in buy)")
    assert 'run="thread"' in waits.remedy
    assert "worker processes" in computes.remedy


def test_the_heaviest_cause_comes_first_and_the_others_are_listed():
    busy = Ledger.of(seconds(10, **{**IDLE, "cpu": 1.0, "hub": 1.0}, started=100, late=20))
    slow = Ledger.of(seconds(10, **IDLE, data=(Waited("rows.csv", 1.0, 5.0),)))
    verdict = judge({"a": busy, "b": slow}, 0.05)
    assert [each.cause for each in verdict.causes] == [CPU, USERS, DATA]
    assert verdict.line().endswith(f"; also: {USERS} (a), {DATA} (b)")
    assert json.loads(json.dumps(verdict.as_json()))["causes"][0]["cause"] == CPU


def test_another_cause_is_named_with_its_line():
    busy = seconds(10, **{**IDLE, "cpu": 1.0, "hub": 1.0}, blocks=(LINE,))
    assert (
        verdict_of(*busy)
        .line()
        .endswith("; also: blocked event loop at /home/me/shop.py:12 (in buy)")
    )


def test_a_full_processor_is_named_with_the_function_that_fills_it():
    lines = (
        Busy("/home/me/shop.py", 8, "pay", 0.35),
        *(Busy("/home/me/shop.py", line, "parse", 0.1 * line) for line in (3, 2)),
    )
    sound = seconds(10, **IDLE, lines=(Busy("/home/me/shop.py", 8, "pay", 1.0),))
    full = seconds(10, begin=10, **{**IDLE, "cpu": 1.0, "hub": 1.0}, lines=lines)
    (cause,) = verdict_of(*sound, *full).causes
    assert "from second 10, 50% of it at /home/me/shop.py:3 (in parse)" in cause.text
    assert cause.place == "/home/me/shop.py:3 (in parse)"
    scattered = tuple(Busy("/home/me/shop.py", n, f"f{n}", 0.2) for n in range(5))
    (cause,) = verdict_of(*(replace(each, lines=scattered) for each in full)).causes
    assert "of it at" not in cause.text
    assert not cause.place


def test_too_few_users_are_told_how_many_it_takes():
    short = seconds(10, **IDLE, started=20, late=20)
    fine = seconds(10, begin=10, **IDLE, started=50)
    (cause,) = verdict_of(*short, *fine).causes
    # five users that begin 20 iterations a second are busy for a quarter of a second with each
    assert "5 users are too few: each had time for about 4 iterations a second" in cause.remedy
    assert "it takes the rate / 4 of them" in cause.remedy
    (cause,) = verdict_of(*seconds(5, **IDLE, dropped=3)).causes
    assert "none had time for another iteration" in cause.remedy


finite = st.floats(0, 1e6)
waits = st.builds(Waited, st.text(), finite, finite).map(lambda w: w._replace(of=w.seconds + w.of))
observations = st.builds(
    Observation,
    finite,
    st.floats(0.1, 10),
    users=st.integers(0, 1000),
    **dict.fromkeys(("cpu", "hub", "lag_p50", "lag_p99", "lag_max", "scheduler_lag"), finite),
    **dict.fromkeys(("started", "late", "dropped"), st.integers(0, 10**6)),
    blocks=st.lists(
        st.builds(Blocked, st.text(), st.integers(0, 99), st.text(), finite, finite), max_size=3
    ).map(tuple),
    threads=st.lists(waits, max_size=3).map(tuple),
    data=st.lists(waits, max_size=3).map(tuple),
    lines=st.lists(
        st.builds(Busy, st.text(), st.integers(0, 99), st.text(), st.floats(0, 1)), max_size=3
    ).map(tuple),
)


@given(observations)
def test_an_observation_survives_the_wire(seen):
    assert Observation.from_wire(json.loads(json.dumps(seen.to_wire()))) == seen


@given(st.lists(observations, max_size=8), st.floats(0, 100))
def test_any_observations_have_a_verdict_that_json_can_hold(seen, p99):
    verdict = verdict_of(*seen, p99=p99)
    weights = [cause.weight for cause in verdict.causes]
    assert weights == sorted(weights, reverse=True)
    assert all(weight > 0 and math.isfinite(weight) for weight in weights)
    assert len(verdict.line().splitlines()) == 1
    json.dumps(verdict.as_json(), allow_nan=False)


# Small loads. The machine may be busy with other things, which is a true finding of its own.


def causes(results):
    return {cause["cause"]: cause for cause in results.verdict["causes"]}


class Worker(ProtocolUser):
    abstract = True
    wait_time = constant(0.05)


def test_an_idle_load_is_not_limited():
    class Idle(Worker):
        @task
        def work(self):
            with self.measure("work"):
                gevent.sleep(0.02)

    results = load(Idle, users=3, seconds=1.2)
    assert set(causes(results)) <= {STARVED, CPU, BLOCKED}
    assert BLOCKED not in causes(results) or not causes(results)[BLOCKED]["place"]
    assert results.verdict["observed"] > 0.5
    assert results.verdict["limited"] == bool(results.verdict["causes"])


def test_a_blocked_event_loop_is_named_with_its_line(caplog):
    class Blocking(Worker):
        @task
        def work(self):
            native_sleep(0.2)  # this line

    results = load(Blocking, users=3, seconds=LONG, until=lambda: "was blocked" in caplog.text)
    assert "test_verdict.py:" in causes(results)[BLOCKED]["text"]
    assert "(in work)" in causes(results)[BLOCKED]["text"]
    assert 'run="thread"' in causes(results)[BLOCKED]["remedy"]


def test_tasks_that_compute_are_named(caplog):
    class Computing(Worker):
        wait_time = constant(0)

        @task
        def work(self):
            until = now() + random.uniform(0.001, 0.01)
            while now() < until:
                pass

    def told():
        found = "limited by its generator: the process"
        return [text for text in caplog.messages if found in text]

    results = load(Computing, users=5, seconds=LONG, until=told)
    assert "worker processes" in causes(results)[CPU]["remedy"]
    assert "% of it at" in causes(results)[CPU]["text"]
    assert "test_verdict.py:" in causes(results)[CPU]["place"]
    assert "(in work)" in causes(results)[CPU]["place"]
    assert len(told()) == 1


def test_too_few_users_are_named(caplog):
    class Few(Worker):
        wait_time = arrival_rate("40/s")

        @task
        def work(self):
            gevent.sleep(0.2)

    results = load(Few, users=2, seconds=LONG, until=lambda: "too few: each" in caplog.text)
    assert "2 users are too few: each had time for about" in causes(results)[USERS]["remedy"]


def test_too_few_threads_are_named(caplog):
    class Threaded(Worker):
        wait_time = constant(0)

        @task
        def work(self):
            self.timed(native_sleep, run="thread")(0.2)

    found = "waited for a free thread"
    results = load(Threaded, users=200, seconds=LONG, until=lambda: found in caplog.text)
    assert found in causes(results)[THREADS]["text"]


def quick():
    """What is done by the time it is there."""


def test_handing_a_quick_call_to_a_thread_that_is_free_is_no_lack_of_threads():
    class Quick(Worker):
        @task
        def work(self):
            self.timed(quick, run="thread")()

    results = load(Quick, users=3, seconds=1.2)
    (queue,) = (each for key, each in results.figures.timed.items() if key[2] == "queue")
    at_once = queue.maximum < 5e6  # in nanoseconds; a crowded machine takes longer
    assert THREADS not in causes(results) or not at_once


@pytest.mark.parametrize(("milliseconds", "limits"), [(4, False), (20, True)])
def test_a_turn_of_the_interpreter_is_no_lack_of_threads(milliseconds, limits):
    class Handing(Worker):
        @task
        def work(self):
            with self.measure("work") as call:
                call.spend("queue", milliseconds / 1000)

    assert (THREADS in causes(load(Handing, users=3, seconds=1.2))) is limits


def test_messages_that_wait_for_their_handler_are_no_lack_of_threads():
    class Handling(Worker):
        @task
        def work(self):
            with self.measure("message", one_way=True) as call:
                call.spend("queue", 0.2)

    assert THREADS not in causes(load(Handling, users=3, seconds=1.2))


def test_too_slow_data_is_named(caplog):
    def slow():
        for number in range(1000):
            gevent.sleep(0.1)
            yield {"n": number}

    rows = Feeder(slow, name="orders", at_end="wait")

    class Waiting(Worker):
        wait_time = constant(0)

        @task
        def work(self):
            next(rows)

    results = load(Waiting, users=3, seconds=LONG, until=lambda: "rows of orders" in caplog.text)
    assert "rows of orders" in causes(results)[DATA]["text"]


def test_it_is_in_the_summary_and_the_results(monkeypatch, locust_env: Environment):
    class Idle(Worker):
        @task
        def work(self):
            with self.measure("work"):
                pass

    locust_env.user_classes = [Idle]
    session: Session = attach(locust_env)
    runner = locust_env.create_local_runner()
    runner.start(1, 1)
    gevent.sleep(1.3)
    runner.quit()
    results = json.loads(json.dumps(document(session)))
    assert set(results["verdict"]) == {"limited", "observed", "causes"}
    (row,) = results["generator"]
    assert row["users"] == 1
    assert {"generator.cpu", "generator.lag"} <= results["timeline"][1]["gauges"].keys()
    summaries: list[str] = []
    monkeypatch.setattr(console_logger, "info", summaries.append)
    log_summary(session)
    assert [text for text in summaries if text.startswith("client-limited: ")]
