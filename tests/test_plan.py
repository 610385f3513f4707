"""When slots are due and whose they are: pure arithmetic, and the texts that it is read from."""

import itertools
import statistics
from math import exp, inf

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protouser import ConfigurationError, arrival_rate
from protouser._schedule._plan import Plan, Positions, Stage
from protouser._schedule._timetable import Epoch, Timetable

rates = st.floats(0.1, 10_000)
stages = st.lists(
    st.builds(
        Stage,
        first=st.one_of(st.just(0.0), rates),
        last=rates,
        seconds=st.floats(0.1, 1000),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize(
    ("given", "at", "expected"),
    [
        (("200/s",), 10, 2000),
        (("5/m",), 60, 5),
        (("3_600/h",), 2.5, 2.5),
        (("1.5 / s",), 2, 3),
        ((("0/s", "500/s", "1m"), ("500/s", "5m")), 60, 15_000),
        ((("0/s", "500/s", "1m"), ("500/s", "5m")), 360, 165_000),
        ((("0/s", "500/s", "1m"), ("500/s", "5m")), 9999, 165_000),
        ((("100/s", "0/s", "1m30s"),), 90, 4500),
        ((("10/s", 2), "20/s"), 3, 40),
        ((("10/s", "500ms"), ("20/s", "0.5s"), "1/s"), 2, 16),
    ],
)
def test_a_plan_expects_the_area_under_its_rates(given, at, expected):
    assert arrival_rate(*given).plan().expected(at) == pytest.approx(expected)


@given(stages, st.floats(0, 1))
def test_a_position_is_due_when_so_many_are_expected(stages, share):
    plan = Plan(stages)
    position = share * plan.arrivals
    due = plan.due(position)
    assert 0 <= due <= plan.seconds * (1 + 1e-9)
    assert plan.expected(due) == pytest.approx(position, rel=1e-6, abs=1e-5)


@given(stages, st.lists(st.floats(0, 1), min_size=2, max_size=20))
@example([Stage(0.0, 0.5, 3.0)], [0.0, 5e-324])
def test_later_slots_are_due_later(stages, shares):
    plan = Plan(stages)
    dues = [plan.due(share * plan.arrivals) for share in sorted(shares)]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(dues))


@given(st.one_of(st.none(), st.integers(0, 9)), st.floats(0, 5000))
def test_the_first_slot_from_a_position_is_the_first(seed, position):
    positions = Positions(seed)
    first = positions.first_from(position)
    assert positions.of(first) >= position
    assert not first or positions.of(first - 1) < position


@given(st.integers(0, 2**60))
@settings(max_examples=20)
def test_random_arrivals_keep_the_rate_and_look_random(seed):
    positions = [Positions(seed).of(slot) for slot in range(0, 10)]
    again = Positions(seed)
    assert [again.of(slot) for slot in reversed(range(10))] == positions[::-1]
    many = [again.of(slot) for slot in range(2560)]
    assert many == sorted(many)
    assert [int(at // 256) for at in many] == [slot // 256 for slot in range(2560)]
    gaps = [b - a for a, b in itertools.pairwise(many)]
    # a third of the exponential distribution's gaps is longer than the mean: exp(-1)
    assert sum(gap > 1 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_gaps_of_random_arrivals_are_exponential(seed):
    plan, positions, number = arrival_rate("200/s").plan(), Positions(seed), 25_600
    dues = [plan.due(positions.of(slot)) for slot in range(number)]
    assert dues[-1] == pytest.approx(number / 200, rel=0.001)  # the mean is kept
    gaps = [(b - a) * 200 for a, b in itertools.pairwise(dues)]
    ranked = enumerate(sorted(gaps), start=1)
    distance = max(abs(rank / len(gaps) - (1 - exp(-gap))) for rank, gap in ranked)
    # Kolmogorov and Smirnov: one of a hundred true Poisson processes is farther than that
    assert distance < 1.63 / len(gaps) ** 0.5
    # what one gap is says nothing about the next one, and windows differ as they should
    assert abs(statistics.correlation(gaps[:-1], gaps[1:])) < 0.02
    windows = [0] * (number // 10)
    for due in dues:
        windows[min(int(due * 20), len(windows) - 1)] += 1
    assert statistics.variance(windows) / statistics.mean(windows) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "given",
    [
        (("0/s", "500/s", "1m"), ("500/s", "30s"), ("500/s", "0/s", "10s")),
        (("30/m", "7/s", "40s"), ("3_600/h", "1m")),
    ],
)
def test_every_second_of_a_ramp_has_its_part_of_the_area(given):
    plan, positions = arrival_rate(*given).plan(), Positions()
    seconds = [0] * (int(plan.seconds) + 1)
    slot = 0
    while positions.of(slot) < plan.arrivals:
        seconds[int(plan.due(positions.of(slot)))] += 1
        slot += 1
    assert slot == round(plan.arrivals)
    for second, number in enumerate(seconds[:-1]):
        assert abs(sum(seconds[: second + 1]) - plan.expected(second + 1)) < 1.001, number


workers = st.lists(st.integers(0, 50), min_size=1, max_size=5).filter(any)


@given(st.lists(st.tuples(workers, st.floats(0.1, 5)), min_size=1, max_size=4), st.booleans())
@settings(max_examples=50, deadline=None)
def test_every_slot_has_one_owner_however_shares_change(changes, poisson):
    plan = Plan([Stage(20, 100, 10)])
    epochs, at = [], 0.0
    for weights, seconds in changes:
        shares = tuple((f"w{i}", weight) for i, weight in enumerate(weights))
        epochs.append(Epoch(plan.expected(at), 0.0, 0.0, None, shares))
        at += seconds
    positions = Positions(7 if poisson else None)
    owned = {}
    for worker in range(5):
        for slot, due in walk(plan, positions, f"w{worker}", epochs):
            assert slot not in owned
            owned[slot] = due
    assert sorted(owned) == list(range(len(owned)))
    assert [owned[slot] for slot in sorted(owned)] == sorted(owned.values())
    assert len(owned) == 600 or poisson


def walk(plan, positions, member, epochs):
    timetable = Timetable(plan, member)
    for epoch in epochs:
        timetable.add(epoch, positions)
    slot = 0
    while (found := timetable.next_from(slot)) and found[1] < inf:
        yield found
        slot = found[0] + 1


@given(workers, st.integers(10, 1000))
def test_shares_are_by_weight_over_any_stretch(weights, stretch):
    shares = tuple((f"w{i}", weight) for i, weight in enumerate(weights))
    plan = Plan([Stage(1, 1, inf)])
    for i, weight in enumerate(weights):
        timetable = Timetable(plan, f"w{i}", limit=stretch)
        timetable.add(Epoch(0.0, 0.0, 0.0, None, shares), Positions())
        slot, count = 0, 0
        while (found := timetable.next_from(slot)) and found[1] < inf:
            slot, count = found[0] + 1, count + 1
        # the discrepancy of Weyl's sequence grows with the logarithm; 4 is far beyond it here
        assert abs(count - stretch * weight / sum(weights)) < 4


def test_before_the_plan_slots_are_due_at_the_rate_of_those_present():
    plan = Plan([Stage(100, 100, inf)])
    timetable = Timetable(plan, "me")
    assert timetable.next_from(0) == (0, inf)
    timetable.add(Epoch(0.0, 1.0, 0.0, 0.0, (("me", 1),)), Positions())
    assert timetable.next_from(0) == (0, inf)
    timetable.add(Epoch(0.0, 1.0, 0.0, 10.0, (("me", 2),)), Positions())
    assert timetable.next_from(5) == (5, 1.5)
    timetable.add(Epoch(6.5, 2.0, 6.5, None, (("me", 2),)), Positions())
    assert timetable.next_from(6) == (6, 1.6)
    assert timetable.next_from(7) == (7, 2.005)


@pytest.mark.parametrize(
    ("given", "marked", "words"),
    [
        (("200",), "200\n       ^", "slash"),
        (("200/x",), "200/x\n        ^", "'x'"),
        (("fast",), "fast\n    ^", "number"),
        (("",), "\n    ^", "number"),
        (("200/",), "200/\n        ^", "unit"),
        (("200/s extra",), "200/s extra\n          ^", "nothing may follow"),
        (("-5/s",), "-5/s\n    ^", "negative"),
        (("0/s",), "0/s\n    ^", "rate of 0"),
        ((("0/s", "0/s", "1m"),), "0/s\n    ^", "rate of 0"),
        ((("1/s", "2/s", "1x"),), "1x\n     ^", "'x'"),
        ((("1/s", "1m 30"),), "1m 30\n         ^", "unit"),
        ((("1/s", ""),), "\n    ^", "duration"),
        ((("1/s", "0s"),), "0s\n    ^", "longer than nothing"),
        ((("1/s", -3),), "-3s\n    ^", "longer than nothing"),
        (("1/s", "2/s"), None, "never begin"),
        ((("1/s",),), None, "no stage"),
        ((7,), None, "no stage"),
        (((7, "1m"),), None, "200/s"),
        ((), None, "missing"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_marks_the_place(given, marked, words):
    with pytest.raises(ConfigurationError) as caught:
        arrival_rate(*given).plan()
    text = str(caught.value)
    assert words in text
    assert marked is None or text.endswith(f"    {marked}")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"late": "later"}, "catch_up"), ({"poisson": True, "seed": "x"}, "seed")],
)
def test_options_that_cannot_be_are_errors(options, words):
    with pytest.raises(ConfigurationError, match=words):
        arrival_rate("1/s", **options).plan()
