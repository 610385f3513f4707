"""The table at the end of a run: as a whole, and with names of any type and length."""

import json
import os

import pytest

from protouser._duration import duration
from protouser._figures import (
    CANCELLED,
    FAILURE,
    ONE_WAY,
    RESPONSE,
    SERVICE,
    SKIPPED,
    SUCCESS,
    WARM_UP,
    Figures,
)
from protouser._histogram import Histogram
from protouser._schedule import schedule_lines
from protouser._summary import page_width, summary

LONG = "a name that begins like this and, far behind the width of any terminal, ends like that"


def example():
    figures = Figures()
    for millisecond in range(1, 101):
        figures.record("tcp", "get", SERVICE, SUCCESS, millisecond * 1_000_000)
    figures.record("tcp", "get", SERVICE, FAILURE, 9)
    figures.record("tcp", "get", "first item", SUCCESS, 250_000)
    figures.timed["tcp", "get", "never", SUCCESS] = Histogram()
    figures.record("tcp", "connect", SERVICE, SUCCESS, 2_500_000_000)
    figures.count("udp", "send", ONE_WAY)
    figures.count("udp", "send", ONE_WAY)
    figures.count("tcp", "get", CANCELLED)
    figures.count("tcp", "get", SKIPPED)
    figures.add("tcp", "get", "items", 1234)
    figures.add("", "", "reconnects", 2)
    figures.trend("stock", 12.5)
    return figures


def test_the_whole_table():
    assert summary(example(), 10.0, ["worker-2"]) == GOLDEN


def scheduled():
    figures = example()
    for class_name, started, late in (("Buyer", 1200, 30), ("Guest", 10, 0)):
        figures.add("schedule", class_name, "started", started)
        if late:
            figures.add("schedule", class_name, "late", late)
    figures.add("schedule", "Buyer", "dropped", 48)
    for milliseconds in (1, 2, 3):
        figures.record("schedule", "Buyer", "lateness", SUCCESS, milliseconds * 100_000)
        figures.record("schedule", "Buyer", "scheduler lag", SUCCESS, milliseconds * 100_000)
        figures.record("schedule", "Buyer", "iteration", SUCCESS, milliseconds * 1_000_000)
    return figures


def test_a_schedule_is_no_call_and_has_a_table_of_its_own():
    assert summary(scheduled(), 10.0, ["worker-2"]) == GOLDEN
    assert scheduled().rows() == example().rows()
    assert schedule_lines(scheduled()) == [
        "Schedule  planned  started  dropped  late  lateness p50     p99     max"
        "  iteration p50   p99   max",
        "Buyer       1,248    1,200       48    30        200 us  300 us  300 us"
        "           2 ms  3 ms  3 ms",
        "Guest          10       10        0     0             -       -       -"
        "              -     -     -",
        "",
    ]
    assert schedule_lines(example()) == []
    lost = scheduled()
    lost.add("schedule", "Guest", "lost", 2)
    assert "  lost" in schedule_lines(lost)[0]


def test_a_transaction_is_a_row_and_its_calls_alone_are_calls():
    figures = Figures()
    for name in ("pay", "ship"):
        figures.record("tcp", name, SERVICE, SUCCESS, 5_000_000)
    figures.record("transaction", "checkout", SERVICE, SUCCESS, 10_000_000)
    first, *rest = summary(figures, 1.0).splitlines()
    assert first == "protouser: 2 calls in 1.0 s"
    assert any("checkout" in line for line in rest)


def test_what_is_waited_for_outside_of_calls_is_said_below_the_table():
    figures = example()
    figures.record("feeder", "accounts", "wait", SUCCESS, 2_000_000)
    text = summary(figures, 10.0, ["worker-2"])
    wait = "  wait of feeder accounts: 1 time, p50 2 ms, p99 2 ms\n"
    assert wait in text
    assert text.replace(wait, "") == GOLDEN


def test_names_of_several_types_and_lines_are_shown_as_text():
    figures = Figures()
    for name in (7, "a", None, "two\nlines"):
        figures.record("tcp", name, SERVICE, SUCCESS, 1_000)
        figures.record("tcp", name, 5, SUCCESS, 1_000)
        figures.record("tcp", name, "phase", SUCCESS, 1_000)
        figures.add("tcp", name, "late")
        figures.trend(name, 1)
    lines = summary(figures, 1.0).splitlines()
    names = [line[5:15].strip() for line in lines if line.startswith("tcp")]
    assert names == ["7", "None", "a", "two lines"]
    assert [line.split(":")[0] for line in lines[-8:]] == [
        *(f"  late of tcp {name}" for name in names),
        *(f"  {name}" for name in names),
    ]


@pytest.mark.parametrize("outcomes", [(), (CANCELLED, ONE_WAY, SKIPPED)])
def test_long_names_are_cut_in_the_middle_and_the_table_fits_120_columns(outcomes):
    figures = Figures()
    for _ in range(12_345):
        figures.record("grpc", LONG, SERVICE, SUCCESS, 123_456_789)
    figures.record("grpc", LONG, "first item", SUCCESS, 1)
    figures.record("grpc", LONG, LONG, SUCCESS, 1)
    for outcome in outcomes:
        figures.count("grpc", "other", outcome)
    text = summary(figures, 1.0)
    assert max(map(len, text.splitlines())) < 120
    assert LONG not in text
    names = [line[6:] for line in text.splitlines() if line.startswith("grpc")]
    assert names[0].startswith("a name")
    assert "that  12,345" in names[0]


def busy(calls):
    figures = Figures()
    for number in range(calls):
        figures.record("grpc", LONG, SERVICE, SUCCESS, 123_000_000 + number)
        figures.record("grpc", LONG, RESPONSE, SUCCESS, 10 * (123_000_000 + number))
    return figures


def columns(figures, *arguments):
    return summary(figures, 1.0, *arguments).splitlines()[2].split()[2:]


@pytest.mark.parametrize(
    ("calls", "tail"), [(999, []), (1_000, ["p99.9"]), (10_000, ["p99.9", "p99.99"])]
)
def test_a_percentile_is_shown_where_there_are_calls_enough(calls, tail):
    expected = ["ok", "failed", "p50", "p90", "p95", "p99", *tail, "max", "calls/s"]
    assert columns(busy(calls)) == expected


def test_a_narrow_table_goes_without_some_percentiles_and_a_wide_one_has_them():
    figures = busy(10_000)
    for outcome in (ONE_WAY, CANCELLED, SKIPPED, WARM_UP):
        figures.count("grpc", LONG, outcome)
    counts = ["ok", "failed", "cancelled", "one-way", "skipped", "warm-up"]
    assert columns(figures) == [*counts, "p50", "p95", "p99", "max", "calls/s"]
    everything = [*counts, "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max", "calls/s"]
    assert columns(figures, (), 180) == everything


@pytest.mark.parametrize(("columns", "width"), [("", 119), ("60", 79), ("100", 99), ("200", 199)])
def test_the_page_is_as_wide_as_the_terminal(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    assert page_width() == width


def test_the_response_time_is_a_row_below_the_service_time():
    lines = summary(busy(100), 1.0).splitlines()
    service, response = (line.split() for line in lines[4:6])
    assert response[:3] == ["response", "time", "100"]
    assert (service[-3:-1], response[-2:]) == (["123", "ms"], ["1.23", "s"])


def test_a_name_is_cut_to_48_columns_and_a_type_to_24():
    figures = Figures()
    figures.count("T" * 60, "n" * 60, ONE_WAY)
    assert f"{'T' * 11}...{'T' * 10}  nnn" in summary(figures, 1.0)
    figures = Figures()
    figures.count("tcp", "n" * 60, SUCCESS)
    assert f"tcp   {'n' * 23}...{'n' * 22}  " in summary(figures, 1.0)


RAISING = """
    from locust import constant, task
    from protouser import ProtocolUser

    class Till(ProtocolUser):
        wait_time = constant(0.1)

        def on_start(self):
            self.left = 4

        @task
        def sell(self):
            with self.measure("sell"):
                pass
            self.left -= 1
            if self.left == 3:
                raise RuntimeError("the till is shut at http://ann:secret@till/")
            if self.left >= 0:
                {}["nope"]
"""


def test_what_tasks_raise_on_workers_is_told_with_its_number_and_line(run_locust):
    arguments = ("--processes", "2", "-u", "2", "-r", "2", "-t", "5", "--only-summary")
    run = run_locust(RAISING, *arguments)
    assert run.exit_code == 1
    text = run.stdout + run.stderr
    told = text[text.index("Exceptions: ") :].splitlines()
    assert told[:4] == [
        "Exceptions: 8, raised outside of any call and in no row above",
        "  6 x KeyError: 'nope'  [locustfile.py:19 in sell]",
        "  2 x RuntimeError: the till is shut at http://ann:***@till/  [locustfile.py:17 in sell]",
        "",
    ]
    assert told[4].startswith("client-limited: ")


def test_what_tasks_raise_is_told_where_no_call_was_made(run_locust, tmp_path):
    locustfile = RAISING.replace("with self.measure", "if self.left < 0 and self.measure")
    run = run_locust(locustfile, "-t", "2", "--protouser-json", "results.json")
    assert run.exit_code == 1
    assert "  3 x KeyError: 'nope'  [locustfile.py:19 in sell]" in run.stdout + run.stderr
    rows = json.loads((tmp_path / "results.json").read_text())["exceptions"]
    assert [(row["class"], row["count"]) for row in rows] == [("Till", 3), ("Till", 1)]


FED = """
    from locust import constant, task
    from protouser import Feeder, ProtocolUser

    rows = Feeder([{"key": "a"}, {"key": "b"}], name="keys")

    class Till(ProtocolUser):
        wait_time = constant(0.1)

        @task
        def sell(self):
            with self.measure(next(rows)["key"]):
                pass
"""


def test_what_became_of_the_rows_stands_below_the_calls(run_locust):
    run = run_locust(FED, "--only-summary")
    assert run.exit_code == 0, run.stderr
    text = run.stdout + run.stderr
    table = text[text.index("protouser: 2 calls in ") :]
    assert "\nFeeder  handed out" in table
    assert "Feeder  handed out" not in text.replace(table, "")


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 us"),
        (1_234, "1.23 us"),
        (999_499, "999 us"),
        (999_500, "1 ms"),
        (12_345_678, "12.3 ms"),
        (1_500_000_000, "1.5 s"),
        (3_600_000_000_000, "3,600 s"),
    ],
)
def test_a_time_has_the_unit_that_fits(nanoseconds, text):
    assert duration(nanoseconds) == text


GOLDEN = """\
protouser: 106 calls in 10.0 s

Type  Name           ok  failed  cancelled  one-way  skipped      p50      p90      p95      p99     max  calls/s
-----------------------------------------------------------------------------------------------------------------
tcp   connect         1       0          0        0        0    2.5 s    2.5 s    2.5 s    2.5 s   2.5 s      0.1
tcp   get           100       1          1        0        1  49.9 ms  89.9 ms  95.2 ms  98.8 ms  100 ms     10.3
        first item    1                                        250 us   250 us   250 us   250 us  250 us
udp   send            0       0          0        2        0        -        -        -        -       -      0.2
  reconnects: 2
  items of tcp get: 1,234
  stock: 1 values, p50 12.5, p95 12.5
  INCOMPLETE: no final figures from worker-2
"""  # noqa: E501  the table as it is shown
