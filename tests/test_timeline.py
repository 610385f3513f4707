"""The time line: right seconds whatever the workers' clocks, bounded memory, nothing lost."""

import gevent
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import _report, _timeline
from protouser._attach import attach
from protouser._figures import CANCELLED, FAILURE, RESPONSE, SERVICE, SUCCESS, Figures
from protouser._names import OTHER_NAMES, Names
from protouser._report import Clocks, Report
from protouser._timeline import Note, Timeline


def second_of(nanoseconds, name="get", outcome=SUCCESS):
    figures = Figures()
    figures.record("tcp", name, SERVICE, outcome, nanoseconds)
    figures.record("tcp", name, RESPONSE, outcome, 2 * nanoseconds)
    figures.record("tcp", name, "first item", outcome, 1)
    figures.count("tcp", name, CANCELLED)
    figures.gauge("users", 3)
    return figures


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1_000, 10**10)), max_size=80))
def test_whatever_was_added_is_in_one_slice_and_stays_while_slices_grow(samples):
    timeline = Timeline()
    for second, nanoseconds in samples:
        timeline.add(second, second_of(nanoseconds))
    everything = timeline.between(0, 6000)
    assert everything.outcome("tcp", "get", SUCCESS) == len(samples)
    assert everything.outcome("tcp", "get", CANCELLED) == len(samples)
    for begin, slice_ in timeline.slices():
        inside = [n for s, n in samples if begin <= s < begin + timeline.width]
        figures = timeline.between(begin, begin + timeline.width)
        times = figures.timed["tcp", "get", SERVICE, SUCCESS]
        assert times.count == len(inside)
        assert times.maximum == pytest.approx(max(inside), rel=0.004)
        assert times.minimum == pytest.approx(min(inside), rel=0.004)
        assert ("tcp", "get", "first item", SUCCESS) not in slice_.timed


def test_a_run_of_a_day_has_at_most_600_slices():
    timeline = Timeline()
    for second in range(0, 86_400, 7):
        timeline.add(second, second_of(1_000_000))
    slices = list(timeline.slices())
    assert len(slices) <= 600
    assert timeline.width == 256
    assert timeline.between(0, 90_000).outcome("tcp", "get", SUCCESS) == len(range(0, 86_400, 7))


def test_many_names_make_slices_wider_before_they_take_memory(monkeypatch):
    monkeypatch.setattr(_timeline, "_MOST_HISTOGRAMS", 100)
    timeline = Timeline()
    for second in range(20):
        for name in "abcde":
            timeline.add(second, second_of(1_000, name))
    assert sum(len(slice_.timed) for _, slice_ in timeline.slices()) <= 100
    assert timeline.between(0, 20).total(SUCCESS) == 100


def test_a_part_of_the_time_and_of_the_rows():
    timeline = Timeline()
    for second in range(10):
        timeline.add(second, second_of(1_000_000 * (second + 1), "a"))
        timeline.add(second, second_of(7_000, "b", FAILURE))
    figures = timeline.between(3, 6, lambda type_, name: name == "a")
    assert figures.rows() == [("tcp", "a")]
    assert figures.timed["tcp", "a", SERVICE, SUCCESS].maximum == pytest.approx(6e6, rel=0.004)
    assert figures.gauges["users"] == (6, 18, 3)


def over_the_wire(report):
    return Report.from_wire(msgpack.unpackb(msgpack.packb(report.to_wire())))


def test_a_late_worker_with_another_clock_is_put_where_it_belongs(monkeypatch):
    """The worker's clock shows 5,000 when the master's shows 160; its test began a minute late."""
    clock = {"now": 0.0}
    monkeypatch.setattr(_report, "now", lambda: clock["now"])
    clocks, timeline = Clocks(), Timeline()
    for sent, arrived, seconds in ((4_903.0, 163.2, [0, 1, 2]), (4_906.0, 166.9, [3, 4, 5])):
        report = Report(4_900.0)
        report.slices = [(second, second_of(1_000)) for second in seconds]
        report.notes = [Note(seconds[0] + 0.5, "note", "broker restart")]
        clock["now"] = sent
        report = over_the_wire(report)
        clock["now"] = arrived
        clocks.place("worker", report, 100.0, timeline)
    assert [second for second, _ in timeline.slices()] == [60, 61, 62, 63, 64, 65]
    assert [round(note.at, 1) for note in timeline.notes] == [60.7, 63.7]
    assert clocks.complete_until() == 66
    clocks.forget("worker")
    assert clocks.complete_until() == 0


def test_names_beyond_the_limit_are_counted_together_and_said_once(caplog):
    names = Names(most_rows=3)
    figures, again = Figures(names), Figures(names)
    for into in (figures, again):
        for number in range(10):
            into.record("tcp", f"get {number}", SERVICE, SUCCESS, 1_000)
            into.count("tcp", f"get {number}", CANCELLED)
            into.add("tcp", f"get {number}", "late", 2)
    figures.merge(again)
    kept = [("tcp", f"get {number}") for number in range(3)]
    assert figures.rows() == [("", OTHER_NAMES), *kept]
    assert figures.outcome("", OTHER_NAMES, SUCCESS) == 14
    assert figures.outcome("", OTHER_NAMES, CANCELLED) == 14
    assert figures.counters["", OTHER_NAMES, "late"] == 28
    (record,) = caplog.records
    assert record.getMessage() == (
        "3 different names: further ones are counted together as '(other names)'; a name should"
        " hold no id and no time; name= gives a call another one"
    )


def test_series_counters_trends_and_gauges_are_bounded_too():
    figures = Figures(Names(most_others=2))
    for number in range(5):
        figures.record("tcp", "get", f"phase {number}", SUCCESS, 1)
        figures.add("tcp", "get", f"counter {number}")
        figures.trend(f"trend {number}", 1)
        figures.gauge(f"gauge {number}", 1)
    assert figures.timed["tcp", "get", "(other series)", SUCCESS].count == 3
    assert figures.counters["tcp", "get", "(other counters)"] == 3
    assert figures.trends["(other trends)"].count == 3
    assert figures.gauges["(other gauges)"] == (3, 3, 1)
    assert len(figures.timed) == len(figures.trends) == 3


def test_a_running_test_cuts_a_slice_every_second(locust_env):
    session = attach(locust_env)
    locust_env.create_local_runner()
    looked = []
    session.each_second.append(lambda: looked.append(session.figures.total(SUCCESS)))
    session.each_second.append(lambda: 1 / 0)
    locust_env.events.test_start.fire(environment=locust_env)
    session.figures.record("tcp", "get", SERVICE, SUCCESS, 1_000)
    with gevent.Timeout(20):
        while len(looked) < 2:
            gevent.sleep(0.05)
    session.figures.record("tcp", "get", SERVICE, SUCCESS, 1_000)
    locust_env.events.test_stop.fire(environment=locust_env)
    called = [second for second, slice_ in session.timeline.slices() if slice_.timed]
    assert len(called) == 2
    assert called[0] == 0
    assert looked[0] == 0
    assert session.results().total(SUCCESS) == 2
