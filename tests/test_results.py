"""Result files: what is in them, when they are written, and what is said before a test starts."""

from locust import constant, stats, task

import csv
import json
import math
import os
import random
import sys
from types import SimpleNamespace

import gevent
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from protouser import ConfigurationError, ProtocolUser, _buckets, annotate, attach, stage
from protouser.__main__ import main
from protouser._figures import CANCELLED, FAILURE, RESPONSE, SERVICE, SUCCESS, WARM_UP, Figures
from protouser._results import BASELINE, HDR, SCHEMA, compare, document, hdr_log
from protouser._results._files import writable
from protouser._results._hdr import LARGEST
from protouser._sections import Section
from protouser._session import Session
from protouser.testing import load

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
        Wrong.check_host(None)


def run_of(factor, seed, seconds=40, calls=50):
    """The results of a run whose calls take about ``factor`` milliseconds."""
    chance = random.Random(seed)
    session, whole = Session(), Figures()
    for second in range(seconds):
        figures = Figures()
        for _ in range(calls):
            nanoseconds = chance.lognormvariate(0, 0.3) * factor * 1e6
            figures.record("tcp", "get", SERVICE, SUCCESS, nanoseconds)
        whole.merge(figures)
        session.timeline.add(second, figures)
    session.figures = whole
    session.began -= seconds
    return json.loads(json.dumps(document(session)))


def verdicts(before, after):
    return [(each.figure, each.verdict) for each in compare(before, after)]


def test_two_runs_alike_differ_by_noise_only():
    found = [
        verdict for seed in range(8) for _, verdict in verdicts(run_of(5, seed), run_of(5, 99))
    ]
    assert found.count("noise") >= 20  # of 24; each may be wrong in 5 % of all cases


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
    assert "+20." in p50
    assert p50.endswith("slower")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "was not written by --protouser-json"),
        ("no json", "was not written by --protouser-json"),
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


@pytest.mark.parametrize(("factor", "exit_code"), [(4, 3), (5, None), (6, None)])
def test_a_run_that_is_slower_than_its_baseline_fails(run, tmp_path, factor, exit_code):
    (tmp_path / "base.json").write_text(json.dumps(run_of(factor, 1)))
    run.environment.parsed_options = SimpleNamespace(protouser_baseline=str(tmp_path / "base.json"))
    chance = random.Random(1)
    for second in range(40):
        figures = Figures()
        for _ in range(50):
            nanoseconds = chance.lognormvariate(0, 0.3) * 5e6
            figures.record("tcp", "get", SERVICE, SUCCESS, nanoseconds)
        run.session.kept.merge(figures)
        run.session.timeline.add(second, figures)
    run.session.began -= 40
    run.stop()
    assert run.environment.process_exit_code == exit_code
    worse = 3 if exit_code else 0
    head = f"Against the baseline: {worse} of 3 percentiles got worse"
    assert head in run.session.sections.lines()


@pytest.mark.parametrize("write", [document, hdr_log])
def test_others_run_while_a_long_time_line_is_written(run, write):
    for second in range(50):
        figures = Figures()
        for name in range(4):
            figures.record("tcp", f"get {name}", SERVICE, SUCCESS, 5_000_000)
        run.session.timeline.add(second, figures)
    turns = []

    def other():
        while True:
            turns.append(True)
            gevent.sleep(0)

    running = gevent.spawn(other)
    write(run.session)
    running.kill()
    assert len(turns) >= 50  # one between any two slices, at least


def test_slices_that_grow_wider_while_they_are_written_are_there_once(run):
    def grow():
        for second in range(300, 700):
            run.session.timeline.add(second, one_call())

    def one_call():
        figures = Figures()
        figures.record("tcp", "get", SERVICE, SUCCESS, 5_000_000)
        return figures

    for second in range(300):
        run.session.timeline.add(second, one_call())
    growing = gevent.spawn(grow)
    slices = document(run.session)["timeline"]
    growing.join()
    assert [each["at"] for each in slices] == list(range(0, 700, 2))
    assert sum(each["calls"][0]["count"] for each in slices) == 700
