"""Result files: what is in them, when they are written, and what is said before a test starts."""

from locust import constant, stats, task

import csv
import json
import math
import os
import random
import re
import sys
from types import SimpleNamespace

import gevent
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from protouser import ConfigurationError, ProtocolUser, _buckets, annotate, attach, stage
from protouser.__main__ import main
from protouser._attach import check_hosts_of
from protouser._figures import CANCELLED, FAILURE, RESPONSE, SERVICE, SUCCESS, WARM_UP, Figures
from protouser._results import BASELINE, HDR, SCHEMA, compare, document
from protouser._results._files import writable
from protouser._results._hdr import LARGEST
from protouser._results._interval import Estimate, half_width
from protouser._sections import Section
from protouser._session import Session
from protouser.testing import load

from .results_schema import check_folder, check_results

PERCENTILES = ["p50_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns", "p9999_ns"]


@pytest.fixture
def run(locust_env):
    """A test that runs in an environment without users; stopped by a call."""
    session = attach(locust_env)
    locust_env.create_local_runner()
    locust_env.events.test_start.fire(environment=locust_env)
    ended = []

    def stop():
        if not ended:
            ended.append(True)
            locust_env.events.test_stop.fire(environment=locust_env)

    yield SimpleNamespace(session=session, stop=stop, environment=locust_env)
    stop()


def measure(session):
    for milliseconds in range(1, 101):
        session.figures.record("tcp", "get", SERVICE, SUCCESS, milliseconds * 1_000_000)
    session.figures.record("tcp", "get", SERVICE, FAILURE, 5_000)
    session.figures.record("tcp", "get", "first item", SUCCESS, 7_000)
    session.figures.count("tcp", "get", CANCELLED)
    session.figures.add("tcp", "get", "late", 1 << 70)
    session.figures.trend("stock", 12.5)


def test_the_document_has_every_figure(run):
    measure(run.session)
    run.session.sections.add(Section("feeders", "Feeders", lambda: [{"name": "a", "left": 3}]))
    run.stop()
    results = json.loads(json.dumps(document(run.session)))
    assert results["schema"] == SCHEMA
    assert results["run"]["versions"].keys() == {"protouser", "locust", "python"}
    cancelled, failure, success, phase = sorted(
        results["calls"], key=lambda row: (row["series"] != "service", row["outcome"])
    )
    assert cancelled == {
        **{"type": "tcp", "name": "get", "series": "service"},
        **{"outcome": "cancelled", "count": 1},
    }
    assert (failure["outcome"], failure["count"], failure["max_ns"]) == ("failure", 1, 5_000)
    assert (phase["series"], phase["p50_ns"]) == ("first item", 7_000)
    assert success["count"] == 100
    assert (success["min_ns"], success["mean_ns"], success["max_ns"]) == (10**6, 50_500_000, 10**8)
    percentiles = [success[name] / 1e6 for name in PERCENTILES]
    assert percentiles == pytest.approx([50, 90, 95, 99, 100, 100], rel=0.004)
    assert results["counters"] == [
        {"type": "tcp", "name": "get", "counter": "late", "value": 1 << 70}
    ]
    assert results["trends"][0]["name"] == "stock"
    assert results["trends"][0]["p50"] == 12.5
    assert results["feeders"] == [{"name": "a", "left": 3}]
    (slice_,) = results["timeline"]
    assert slice_["at"] == 0
    assert {row["outcome"]: row["count"] for row in slice_["calls"]} == {
        "success": 100,
        "failure": 1,
        "cancelled": 1,
    }


def test_the_schema_names_every_member_and_no_other(run):
    measure(run.session)
    run.stop()
    results = json.loads(json.dumps(document(run.session)))
    check_results(results)
    for member in results:
        with pytest.raises(AssertionError, match=f"'{member}' is a required property"):
            check_results({key: value for key, value in results.items() if key != member})
    with pytest.raises(AssertionError, match="'surprise' was unexpected"):
        check_results({**results, "surprise": []})
    success = next(row for row in results["calls"] if "p50_ns" in row)
    del success["p99_ns"]
    with pytest.raises(AssertionError, match="'p99_ns' is a dependency of 'min_ns'"):
        check_results(results)
    with pytest.raises(AssertionError, match="1 was expected"):
        check_results({**results, "schema": 2})


def raise_in_a_task(environment, error):
    """As Locust tells of what a task has raised."""
    user = Guest(environment)

    def buy():
        raise error

    try:
        buy()
    except BaseException as raised:
        environment.events.user_error.fire(
            user_instance=user, exception=raised, tb=raised.__traceback__
        )
    user._close()


class Guest(ProtocolUser):
    abstract = True


def test_what_users_raise_is_in_the_document_with_no_secret(run):
    for error in (KeyError("nope"), KeyError("nope"), OSError("token=abc at http://a:pw@b/")):
        raise_in_a_task(run.environment, error)
    raise_in_a_task(run.environment, Silent())
    run.stop()
    results = json.loads(json.dumps(document(run.session)))
    check_results(results)
    rows = results["exceptions"]
    assert [(row["count"], row["type"], row["message"]) for row in rows] == [
        (2, "KeyError", "'nope'"),
        (1, "OSError", "token=*** at http://a:***@b/"),
        (1, "Silent", ""),
    ]
    assert {row["class"] for row in rows} == {"Guest"}
    assert all(
        re.fullmatch(r"test_results\.py:\d+ in raise_in_a_task", row["place"]) for row in rows
    )


class Silent(Exception):
    """It says nothing."""


def test_the_texts_of_exceptions_are_bounded_like_reasons_of_failures(run, caplog):
    for number in range(100):
        raise_in_a_task(run.environment, ValueError(f"no order {number} " + "x" * 1000))
    rows = document(run.session)["exceptions"]
    assert len(rows) == 21
    assert rows[0]["message"].startswith("no order * xxx")
    assert rows[0]["count"] == 80
    assert max(len(row["message"]) for row in rows) == 300
    assert "exceptions have 20 different reasons" in caplog.text
    run.session.reset()
    assert document(run.session)["exceptions"] == []


def percentiles_of_log(path):
    """Percentiles by tag, over all lines, read with the library."""
    merged, lines = {}, 0
    reader = HistogramLogReader(str(path), HdrHistogram(1, LARGEST, 3))
    while read := reader.get_next_interval_histogram():
        lines += 1
        merged.setdefault(read.get_tag(), HdrHistogram(1, LARGEST, 3)).add(read)
    reader.close()
    shares = (50, 90, 99, 99.9, 100)
    return lines, {
        tag: [each.get_value_at_percentile(share) for share in shares]
        for tag, each in merged.items()
    }


def test_a_log_of_hdrhistogram_has_the_same_percentiles(run, tmp_path):
    chance, seen = random.Random(3), []
    for second in range(3):
        figures = Figures()
        for _ in range(2000):
            seen.append(int(chance.lognormvariate(15, 2)))
            figures.record("tcp", "get it, all", SERVICE, SUCCESS, seen[-1])
        figures.record("tcp", "get it, all", RESPONSE, SUCCESS, 2 * LARGEST)
        figures.record("tcp", "get it, all", SERVICE, FAILURE, 5_000)
        run.session.timeline.add(second, figures)
    run.session.began -= 3
    path = tmp_path / "r.hlog"
    run.environment.parsed_options = SimpleNamespace(protouser_hdr=str(path))
    run.stop()
    lines, found = percentiles_of_log(path)
    assert lines == 9
    assert found.keys() == {"tcp_get_it_all", "tcp_get_it_all_response", "tcp_get_it_all_failure"}
    seen.sort()
    exact = [seen[math.ceil(len(seen) * share) - 1] for share in (0.5, 0.9, 0.99, 0.999, 1)]
    assert found["tcp_get_it_all"] == pytest.approx(exact, rel=0.001 + 0.004)
    assert found["tcp_get_it_all_failure"] == pytest.approx([5_000] * 5, rel=0.005)
    assert found["tcp_get_it_all_response"] == pytest.approx([LARGEST] * 5, rel=0.001)


def test_a_log_without_the_library_is_refused_before_the_test(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "hdrh", None)
    with pytest.raises(ConfigurationError, match=r'pip install "protouser\[hdr\]"'):
        HDR.check(str(tmp_path / "r.hlog"))


def test_stages_have_the_figures_of_their_time_and_notes_before_the_start_are_kept(locust_env):
    session = attach(locust_env)
    locust_env.create_local_runner()
    stage("ramp")
    locust_env.events.test_start.fire(environment=locust_env)
    stage("ramp")
    session.timeline.add(0, figures_of(3))
    session.began -= 10
    stage("peak")
    annotate("broker restart")
    session.timeline.add(10, figures_of(5))
    session.began -= 5
    locust_env.events.test_stop.fire(environment=locust_env)
    results = document(session)
    stages = [(s["name"], int(s["begin"]), int(s["end"])) for s in results["stages"]]
    assert stages == [("ramp", 0, 10), ("peak", 10, 15)]
    assert [s["calls"][0]["count"] for s in results["stages"]] == [3, 5]
    (note,) = results["annotations"]
    assert note == {"at": pytest.approx(10, abs=5), "text": "broker restart"}


def figures_of(calls):
    figures = Figures()
    for _ in range(calls):
        figures.record("tcp", "get", SERVICE, SUCCESS, 1_000)
    return figures


def test_files_are_written_when_the_test_stops(run, tmp_path):
    run.environment.parsed_options = SimpleNamespace(
        protouser_json=str(tmp_path / "r.json"), protouser_csv=str(tmp_path / "r.csv")
    )
    measure(run.session)
    assert list(tmp_path.iterdir()) == []
    run.stop()
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", "r.csv", "r.timeline.csv"}
    results = json.loads((tmp_path / "r.json").read_text())
    assert check_folder(tmp_path) == 1
    with (tmp_path / "r.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(results["calls"])
    assert {row["outcome"]: row["count"] for row in rows if row["series"] == "service"} == {
        "success": "100",
        "failure": "1",
        "cancelled": "1",
    }
    with (tmp_path / "r.timeline.csv").open() as file:
        assert [row["at"] for row in csv.DictReader(file)] == ["0"] * 3


def test_a_file_that_cannot_be_written_at_the_end_is_said_and_loses_no_other(run, tmp_path, caplog):
    (tmp_path / "gone").mkdir()
    run.environment.parsed_options = SimpleNamespace(
        protouser_json=str(tmp_path / "gone" / "r.json"), protouser_csv=str(tmp_path / "r.csv")
    )
    (tmp_path / "gone").rmdir()
    run.stop()
    assert "r.json could not be written: No such file or directory" in caplog.text
    assert (tmp_path / "r.csv").exists()


def test_a_path_is_checked_before_the_test(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no directory"):
        writable(str(tmp_path / "nowhere" / "r.json"))
    with pytest.raises(ConfigurationError, match="is a directory; name a file in it"):
        writable(str(tmp_path))
    assert writable(str(tmp_path / "r.json")) == str(tmp_path / "r.json")
    if os.getuid():
        with pytest.raises(ConfigurationError, match="permission denied"):
            writable("/r.json")


@pytest.mark.parametrize(
    ("milliseconds", "counted"),
    [(0.000212, 0.0), (0.0236, 0.024), (0.374, 0.37), (3.74, 3.7), (37.4, 37), (374.0, 370)],
)
def test_locust_counts_with_two_digits_below_a_millisecond(milliseconds, counted):
    _buckets.use_fine_buckets()
    assert stats.bucket_response_time(milliseconds) == counted


def test_who_has_replaced_locusts_rounding_keeps_his_own(monkeypatch):
    monkeypatch.setattr(stats, "bucket_response_time", round)
    _buckets.use_fine_buckets()
    assert stats.bucket_response_time is round


class Warming(ProtocolUser):
    wait_time = constant(0)
    warm_up = "3 calls"

    @task
    def work(self):
        with self.measure("work") as call:
            call.mark("half")
            gevent.sleep(0.01)


def test_calls_of_the_warm_up_are_counted_apart_and_locust_has_them_all():
    results = load(Warming, users=2, seconds=0.5)
    figures = results.figures
    assert figures.outcome("Warming", "work", WARM_UP) == 6
    counted = figures.outcome("Warming", "work", SUCCESS)
    assert counted > 2
    assert figures.timed["Warming", "work", "half", SUCCESS].count == counted
    assert len(results.reports) == counted + 6


def test_seconds_of_warm_up_are_each_users_own():
    class Slow(Warming):
        warm_up = "60s"

    figures = load(Slow, users=1, seconds=0.3).figures
    assert figures.outcome("Slow", "work", SUCCESS) == 0
    assert figures.outcome("Slow", "work", WARM_UP) > 2


@pytest.mark.parametrize("said", ["soon", "-3", "3 rounds", None])
def test_a_warm_up_that_is_no_time_is_said_before_the_test(said):
    class Wrong(Warming):
        warm_up = said

    with pytest.raises(ConfigurationError, match=r"warm_up = .*it is seconds, as in 10 or"):
        check_hosts_of([Wrong], None)


def seconds_of(factor, seed, seconds=40, calls=50, failures=0, drift=0.0):
    """What was measured in each second: about ``factor`` milliseconds a call.

    ``failures`` of the calls of a second fail. The server drifts by a share of ``drift``; what it
    is like changes within some seconds.
    """
    chance = random.Random(seed)
    level = chance.gauss(0, drift)
    for _ in range(seconds):
        figures = Figures()
        level = 0.8 * level + 0.6 * chance.gauss(0, drift)
        for _ in range(calls):
            nanoseconds = math.exp(level) * chance.lognormvariate(0, 0.3) * factor * 1e6
            figures.record("tcp", "get", SERVICE, SUCCESS, nanoseconds)
        for _ in range(failures):
            figures.record("tcp", "get", SERVICE, FAILURE, 1_000)
        yield figures


def run_of(factor, seed, seconds=40, **options):
    """The results of a run of such seconds."""
    session, whole = Session(), Figures()
    for second, figures in enumerate(seconds_of(factor, seed, seconds, **options)):
        whole.merge(figures)
        session.timeline.add(second, figures)
    session.figures = whole
    session.began -= seconds
    return json.loads(json.dumps(document(session)))


def verdicts(before, after):
    return [(each.figure, each.verdict) for each in compare(before, after)]


def test_two_runs_alike_seldom_differ_by_more_than_noise():
    """Nor do those of a server that drifts; more about it is in docs/results.md."""
    for drift in (0.0, 0.05):
        runs = [run_of(5, seed, drift=drift) for seed in range(40)]
        pairs = zip(runs[::2], runs[1::2], strict=True)
        found = [[each.verdict for each in compare(*pair)] for pair in pairs]
        assert all(len(verdicts) == 3 for verdicts in found)
        assert sum(set(verdicts) != {"noise"} for verdicts in found) <= 3


def test_more_failures_are_told_from_noise():
    few, many = run_of(5, 1, failures=1), run_of(5, 1, failures=3)
    worse = compare(few, many)[-1]
    assert (worse.figure, worse.verdict) == ("failed", "more failures")
    assert worse.change == pytest.approx(3 / 53 - 1 / 51)
    assert worse.low < worse.change < worse.high
    assert compare(many, few)[-1].verdict == "fewer failures"
    assert compare(few, run_of(5, 2, failures=1))[-1].verdict == "noise"
    assert compare(run_of(5, 1), few)[-1].verdict == "more failures"
    assert compare(run_of(5, 1, seconds=3), run_of(5, 1, 3, failures=9))[-1].verdict == "too short"


def test_what_is_on_no_time_line_is_not_compared():
    run = run_of(5, 1)
    run["calls"].append({**run["calls"][0], "series": "first item"})
    run["calls"].append({**run["calls"][0], "type": "schedule", "series": "lateness"})
    assert [row[:4] for row in compare(run, run)] == [
        ("tcp", "get", "service", figure) for figure in ("p50", "p95", "p99")
    ]


def test_a_percentile_of_a_few_calls_says_nothing():
    found = verdicts(run_of(5, 1, calls=10), run_of(9, 2, calls=10))
    assert found == [("p50", "slower"), ("p95", "slower"), ("p99", "too few calls")]


@pytest.mark.parametrize(
    ("certainty", "freedom", "t"),
    [(0.95, 1, 12.706), (0.95, 4, 2.776), (0.99, 5, 4.032), (0.95, 38, 2.024), (0.9995, 10, 5.049)],
)
def test_intervals_are_those_of_the_tables_of_students_t(certainty, freedom, t):
    one = Estimate(variance=1.0, parts=freedom + 1)
    assert half_width(one, Estimate(0.0, 20), certainty) == pytest.approx(t, abs=0.001)


def test_a_slower_and_a_faster_run_are_told_from_noise():
    slow, quick = run_of(6, 1), run_of(5, 2)
    assert verdicts(quick, slow) == [("p50", "slower"), ("p95", "slower"), ("p99", "slower")]
    assert verdicts(slow, quick) == [("p50", "faster"), ("p95", "faster"), ("p99", "faster")]
    assert verdicts(slow, run_of(9, 1, seconds=3)) == [
        ("p50", "too short"),
        ("p95", "too short"),
        ("p99", "too short"),
    ]


def test_the_command_compares_two_files(tmp_path, capsys):
    for name, factor in (("a", 5), ("b", 6)):
        (tmp_path / name).write_text(json.dumps(run_of(factor, 1)))
    assert main(["report", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    head, p50, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["Type", "Name", "before", "after"]
    assert p50.split()[:3] == ["tcp", "get", "p50"]
    assert "+19." in p50
    assert p50.endswith("slower")


def test_the_command_says_which_rows_only_one_run_has(tmp_path, capsys):
    other = json.dumps(run_of(5, 1)).replace('"get"', '"put"')
    (tmp_path / "a").write_text(json.dumps(run_of(5, 1)))
    (tmp_path / "b").write_text(other)
    assert main(["report", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "no row is in both runs",
        "tcp get is in the earlier run only",
        "tcp put is in the later run only",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "was not written by --protouser-json"),
        ("no json", "was not written by --protouser-json"),
        ("", "was not written by --protouser-json, or not to its end"),
        ('{"schema": 1, "calls": [{"type": "tcp"', "or not to its end"),
        ('{"schema": 1, "floors": []}', "was not written by --protouser-json"),
        ('{"schema": 1, "calls": [{"type": "tcp"}], "timeline": []}', "was not written by"),
        ("[]", "was not written by --protouser-json"),
        ('{"schema": 99}', "has results of version 99; this protouser reads 1"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_of_another_kind_or_version_is_refused(tmp_path, capsys, text, reason):
    file = tmp_path / "r.json"
    if text is not None:
        file.write_text(text)
    assert main(["report", str(file), str(file)]) == 2
    assert reason in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match=reason.split(";")[0]):
        BASELINE.check(str(file))


@pytest.mark.parametrize(
    ("earlier", "exit_code", "worse"),
    [
        ({"factor": 4}, 3, "3 of 3 figures got worse"),
        ({"factor": 5}, None, "0 of 3 figures got worse"),
        ({"factor": 6}, None, "0 of 3 figures got worse"),
        ({"factor": 5, "failures": 3}, None, "0 of 4 figures got worse"),
        (None, 3, "nothing to compare"),
    ],
)
def test_a_run_that_is_worse_than_its_baseline_fails(run, tmp_path, earlier, exit_code, worse):
    file = tmp_path / "base.json"
    text = json.dumps(run_of(**(earlier or {"factor": 5}), seed=1))
    file.write_text(text if earlier else text.replace('"get"', '"put"'))
    begin(run, file)
    assert measured(run, seconds_of(5, 1)) == exit_code
    assert f"Against the baseline: {worse}" in run.session.sections.lines()
    results = json.loads(json.dumps(document(run.session)))
    check_results(results)
    rows = results["baseline"]
    assert {row["worse"] for row in rows} == ({exit_code == 3} if rows else set())


def test_a_run_with_more_failures_than_its_baseline_fails(run, tmp_path):
    (tmp_path / "base.json").write_text(json.dumps(run_of(5, 1)))
    begin(run, tmp_path / "base.json")
    assert measured(run, seconds_of(5, 1, failures=1)) == 3
    lines = run.session.sections.lines()
    assert "Against the baseline: 1 of 4 figures got worse" in lines
    (line,) = [line for line in lines if "failed" in line]
    assert line.split()[:6] == ["tcp", "get", "failed", "0.000%", "1.961%", "+2.0"]
    assert line.endswith("more failures")


def begin(run, file):
    """Begin the test anew, with a baseline."""
    run.environment.parsed_options = SimpleNamespace(protouser_baseline=str(file))
    run.environment.events.test_start.fire(environment=run.environment)


def measured(run, seconds):
    """The exit code of a test in which these seconds were measured."""
    for second, figures in enumerate(seconds):
        run.session.kept.merge(figures)
        run.session.timeline.add(second, figures)
    run.session.began -= 40
    run.stop()
    return run.environment.process_exit_code
