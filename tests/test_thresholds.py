"""Thresholds: their words, what they look at, and what becomes of a run that crosses one."""

from locust import constant, task

import json
import textwrap
from types import SimpleNamespace
from xml.etree import ElementTree

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import ConfigurationError, ProtocolUser, attach
from protouser._figures import CANCELLED, FAILURE, ONE_WAY, RESPONSE, SERVICE, SUCCESS, Figures
from protouser.thresholds import check_thresholds, parse
from protouser.thresholds._reading import Measured, Reading, readings
from protouser.thresholds._verdict import Verdict

from .results_schema import check_results


@pytest.mark.parametrize(
    ("text", "rows", "figure", "condition", "times"),
    [
        ("p95 < 200ms", (True, None, None), ("calls", "", 0.95), ("<", 2e8, "time"), (None, None)),
        (
            "grpc pkg.Svc/Hello: p95 < 200ms, abort after 10s",
            (False, "grpc", "pkg.Svc/Hello"),
            ("calls", "", 0.95),
            ("<", 2e8, "time"),
            (None, 10.0),
        ),
        (
            "all tcp get item: median <= 1.5 s, over 1m, abort",
            (True, "tcp", "get item"),
            ("calls", "", 0.5),
            ("<=", 1.5e9, "time"),
            (60.0, 0.0),
        ),
        (
            'each "a: b*": max>=3us',
            (False, None, "a: b*"),
            ("calls", "", "max"),
            (">=", 3e3, "time"),
            (None, None),
        ),
        (
            "failures < 1%",
            (True, None, None),
            ("failure", "", ""),
            ("<", 0.01, "share"),
            (None, None),
        ),
        (
            "mqtt: failures < 1_000",
            (False, None, "mqtt"),
            ("failure", "", ""),
            ("<", 1000, "count"),
            (None, None),
        ),
        ("rate > 60/m", (True, None, None), ("all", "", ""), (">", 1, "rate"), (None, None)),
        ("rate > 60", (True, None, None), ("all", "", ""), (">", 60, "rate"), (None, None)),
        ("dropped == 0", (True, None, None), ("dropped", "", ""), ("==", 0, "count"), (None, None)),
        (
            'counter "late messages" < 2/s',
            (True, None, None),
            ("counter", "late messages", ""),
            ("<", 2, "rate"),
            (None, None),
        ),
        (
            "trend stock p99.9 > 2.5",
            (True, None, None),
            ("trend", "stock", 0.999),
            (">", 2.5, "number"),
            (None, None),
        ),
        (
            "monitor.db.cpu mean < 80%, over 10s",
            (True, None, None),
            ("monitor", "db.cpu", "mean"),
            ("<", 0.8, "number"),
            (10.0, None),
        ),
        (
            "monitor.srv.process_cpu_seconds_total/s: max < 0.5, abort after 1s",
            (True, None, None),
            ("monitor", "srv.process_cpu_seconds_total/s", "max"),
            ("<", 0.5, "number"),
            (None, 1.0),
        ),
        (
            'monitor.node.sum(cpu{mode!="idle", id=~"a|}b: c"})/s : p95 < 2',
            (True, None, None),
            ("monitor", 'node.sum(cpu{mode!="idle", id=~"a|}b: c"})/s', 0.95),
            ("<", 2, "number"),
            (None, None),
        ),
        (
            'monitor.node.job:reads{path="/a b"} max < 2',
            (True, None, None),
            ("monitor", 'node.job:reads{path="/a b"}', "max"),
            ("<", 2, "number"),
            (None, None),
        ),
    ],
)
def test_what_can_be_said(text, rows, figure, condition, times):
    read = parse(text)
    assert (read.together, read.type_glob, read.name_glob) == rows
    assert (read.figure.of, read.figure.subject, read.figure.measure) == figure
    assert (read.comparison, read.limit, read.kind) == condition
    assert (read.window, read.abort_after) == times


@pytest.mark.parametrize(
    ("text", "reason", "marked"),
    [
        ("tcp get: p59x < 200ms", "there is no figure 'p59x'; did you mean 'p99'?", "p59x"),
        ("faliures < 1%", "did you mean 'failures'?", "faliures"),
        ("p0 < 1ms", "there is no figure 'p0'", "p0"),
        ("p100.1 < 1ms", "there is no figure 'p100.1'", "p100.1"),
        ("p95 < 200", "a time needs a unit: ns, us, ms, s, m, h", "200"),
        ("p95 < 200 parsecs", "'parsecs' is no unit of time", "200 parsecs"),
        ("p95 ~ 200ms", "'~' is no comparison", "~"),
        ("p95 =< 200ms", "'=' is no comparison", "="),
        ("p95 < fast", "expected a value, not 'fast'", "fast"),
        ("failures < 3ms", "'ms' is no unit of a count", "3ms"),
        ("rate > 5%", "'%' is no unit of a count", "5%"),
        ("trend stock p95 < 3ms", "a trend is compared with a plain number", "3ms"),
        ("trend stock often < 3", "there is no figure 'often'", "often"),
        ("service failures < 1%", "service is a time", "failures"),
        ("p95 < 2s, abrot", "did you mean 'abort'?", "abrot"),
        ("p95 < 2s abort", "expected a comma, or the end", "abort"),
        ("p95 < 2s, over 0s", "a time longer than zero", "0s"),
        ("p95 < 2s, over", "expected a time, such as 30s", ""),
        ("monitor.db: max < 3", "a figure of a monitor is monitor.NAME.SERIES", "monitor.db"),
        ('monitor.db.a{b="c" max < 3', "a bracket is not closed", '{b="c" max < 3'),
        ("monitor.db.a: max < 3 pints", "'pints' is no unit of 'db.a'; known are % ns", "3 pints"),
        ("monitor.db.a_bytes: max < 3ms", "'ms' is no unit of 'db.a_bytes'", "3ms"),
        ("monitor.db.a_seconds: max < 3MB", "'MB' is no unit of 'db.a_seconds'", "3MB"),
        ("monitor.db.a_bytes: max < 3MB/s", "'MB/s' is no unit of 'db.a_bytes'", "3MB/s"),
        ('tcp "get: p95 < 2s', "a quote is not closed", '"get: p95 < 2s'),
        (": p95 < 2s", "a type and a name are missing", ":"),
        ("tcp get:", "expected a figure, such as p95, failures or rate", ""),
        ("", "expected a figure", ""),
    ],
)
def test_a_mistake_is_marked_where_it_is(text, reason, marked):
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    said, line, marks = str(caught.value).split("\n")
    assert reason in said
    begin = marks.index("^") - 2
    assert text[begin : begin + marks.count("^")] == marked
    assert line == f"  {text}"


@given(st.text(alphabet='pabort over<>=,:%"/.0159 ms\n', max_size=30) | st.text(max_size=12))
def test_any_text_is_read_or_refused(text):
    try:
        read = parse(text)
    except ConfigurationError as error:
        said = str(error)
    else:
        said = f"{read.text}^"
    assert text.strip().replace("\n", " ") in said.replace("\n", " ")
    assert "^" in said


def example():
    figures = Figures()
    for milliseconds in range(1, 101):
        figures.record("tcp", "get", SERVICE, SUCCESS, milliseconds * 1_000_000)
        figures.record("tcp", "get", RESPONSE, SUCCESS, 2 * milliseconds * 1_000_000)
        figures.record("tcp", "put", SERVICE, SUCCESS, 3_000_000_000)
    figures.record("tcp", "get", SERVICE, FAILURE, 1)
    figures.count("tcp", "get", CANCELLED)
    figures.count("udp", "send", ONE_WAY)
    figures.add("tcp", "get", "late", 3)
    figures.add("", "", "rare", 4)
    figures.trend("stock", 12.5)
    for name, started, late, dropped in (("Buyer", 81, 27, 9), ("Guest", 9, 0, 1)):
        figures.record("schedule", name, "lateness", SUCCESS, 1_000)
        figures.add("schedule", name, "started", started)
        figures.add("schedule", name, "late", late)
        figures.add("schedule", name, "dropped", dropped)
    gauges = {
        "db.cpu": [10.0, 20.0, 90.0],
        'db.sent_bytes{device="eth0"}/s': [3e6, 5e6],
        'db.sent_bytes{device="eth1"}/s': [1e6],
        "web.cpu": [5.0],
        "generator.cpu": [0.5],
    }
    return Measured(figures, 10.0, gauges)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("tcp get: p50 < 1s", {"tcp get": 100e6}),
        ("tcp get: service p50 < 1s", {"tcp get": 50e6}),
        ("all tcp *: max < 1s", {"": 3e9}),
        ("tcp *: min < 1s", {"tcp get": 2e6, "tcp put": 3e9}),
        ("udp: p95 < 1s", {"": None}),
        ("p95 < 1s", {"": 3e9}),
        ("failures < 1%", {"": 1 / 201}),
        ("tcp get: failures < 1%", {"tcp get": 1 / 101}),
        ("failures < 1", {"": 1}),
        ("calls > 1", {"": 202}),
        ("rate > 1", {"": 20.2}),
        ("cancelled < 1", {"": 1}),
        ("nobody: failures < 1%", {"": None}),
        ("all nobody: calls < 1", {"": None}),
        ("counter rare < 1", {"": 4}),
        ("counter never < 1", {"": 0}),
        ("tcp get: counter late < 1/s", {"tcp get": 0.3}),
        ("trend stock mean < 1", {"": 12.5}),
        ("trend nothing mean < 1", {"": None}),
        ("monitor.db.cpu max < 1", {"": 90}),
        ("monitor.db.cpu mean < 1", {"": 40}),
        ("monitor.db.disk mean < 1", {"": None}),
        ("monitor.*.cpu: max < 1", {"db.cpu": 90, "web.cpu": 5}),
        (
            "monitor.db.sent_bytes/s: mean < 1",
            {'db.sent_bytes{device="eth0"}/s': 4e6, 'db.sent_bytes{device="eth1"}/s': 1e6},
        ),
        ('monitor.db.sent_*{device="eth1"}/s: max < 1', {'db.sent_bytes{device="eth1"}/s': 1e6}),
        ("dropped < 1%", {"": 0.1}),
        ("dropped < 1", {"": 10}),
        ("dropped < 1/s", {"": 1}),
        ("Buyer: dropped < 1", {"Buyer": 9}),
        ("*: dropped < 1%", {"Buyer": 0.1, "Guest": 0.1}),
        ("all schedule *: late < 1%", {"": 0.3}),
        ("nobody: late < 1%", {"": None}),
        ("*: calls > 1", {"tcp get": 101, "tcp put": 100, "udp send": 1}),
    ],
)
def test_what_is_looked_at(text, values):
    found = {reading.row: reading.value for reading in readings(parse(text), example())}
    assert found == {
        row: None if value is None else pytest.approx(value, rel=0.004)
        for row, value in values.items()
    }


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("failures < 1%", {"": 0.5}),
        ("failures < 1", {"": 2}),
        ("calls > 1", {"": 4}),
        ("max < 1s", {"": 1e6}),
        ("all *: failures < 1", {"": 2}),
        ("all transaction *: failures < 1", {"": 1}),
        ("transaction: calls > 1", {"transaction checkout": 1}),
        ("*: failures < 1", {"tcp pay": 2, "transaction checkout": 1}),
    ],
)
def test_a_transaction_is_no_call_where_calls_are_added_up(text, values):
    figures = Figures()
    for outcome in (SUCCESS, SUCCESS, FAILURE, FAILURE):
        figures.record("tcp", "pay", SERVICE, outcome, 1_000_000)
    figures.record("transaction", "checkout", SERVICE, FAILURE, 2_000_000)
    found = readings(parse(text), Measured(figures, 1.0, {}))
    assert {each.row: each.value for each in found} == {
        row: pytest.approx(value, rel=0.004) for row, value in values.items()
    }


@pytest.mark.parametrize(
    ("text", "limit", "found"),
    [
        ("monitor.db.a_bytes: max < 1.5GB", 1.5e9, "2GB"),
        ("monitor.db.a_bytes: max < 1KiB", 1024, "1,953,125KiB"),
        ("monitor.db.a_bytes_total/s: max < 10 MB/s", 1e7, "2,000MB/s"),
        ("monitor.db.a_seconds: max < 250ms", 0.25, "2,000,000,000,000ms"),
        ("monitor.db.a: max < 2k", 2e3, "2,000,000k"),
        ("monitor.db.a_ratio: max < 80%", 0.8, "200,000,000,000%"),
        ("monitor.db.a_percent: max < 80%", 80, "2,000,000,000%"),
        ("monitor.db.a: max < 80", 80, "2,000,000,000"),
    ],
)
def test_a_figure_of_a_server_has_a_unit(text, limit, found):
    threshold = parse(text)
    assert threshold.limit == pytest.approx(limit)
    assert Verdict.of(threshold, Reading("", 2e9), None).found == found


class Worker(ProtocolUser):
    wait_time = constant(0.01)

    @task
    def work(self):
        with self.measure("work") as call:
            gevent.sleep(0.01)
        with self.measure("other") as call:
            call.failure("no")


@pytest.fixture
def make_run(make_locust_env, tmp_path):
    """Run users until the test ends by itself, or ``until`` says so."""

    def run(until, *texts, user=Worker):
        environment = make_locust_env(user_classes=[user])
        options = {"protouser_threshold": list(texts), "protouser_junit": str(tmp_path / "j.xml")}
        environment.parsed_options = SimpleNamespace(exit_code_on_error=1, **options)
        session = attach(environment)
        runner = environment.create_local_runner()
        runner.start(2, 100)
        with gevent.Timeout(100):
            while not (until(session) or session.ended):
                gevent.sleep(0.02)
        runner.stop()
        return session, environment

    return run


def has_called(session):
    return session.results().outcome("Worker", "work", SUCCESS) > 3


def test_a_crossed_threshold_is_exit_code_3_in_the_table_and_in_the_file(make_run, tmp_path):
    session, environment = make_run(has_called, "Worker work: p50 < 1us", "rate > 1/s")
    assert environment.process_exit_code == 3
    lines = session.sections.lines()
    head, failed, passed = lines[lines.index("Thresholds: 1 passed, 1 crossed") :][:3]
    assert head == "Thresholds: 1 passed, 1 crossed"
    assert failed.startswith("  FAIL  Worker work: p50 < 1us  [Worker work]  ")
    assert passed.startswith("  pass  rate > 1/s")
    assert [row["passed"] for row in session.sections.rows("thresholds")] == [False, True]
    suites = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert suites.attrib == {"tests": "2", "failures": "1"}
    (failure,) = suites.iter("failure")
    assert failure.attrib["message"].startswith("Worker work: p50 < 1us (Worker work): ")


def test_failed_calls_are_no_failure_of_a_run_that_passes(make_run):
    _, environment = make_run(has_called, "Worker work: p50 < 30s", "failures > 1")
    assert environment.process_exit_code == 0


def test_what_was_never_measured_does_not_pass(make_run):
    session, environment = make_run(has_called, "Worker wrok: p50 < 30s")
    assert environment.process_exit_code == 3
    assert "nothing was measured" in "\n".join(session.sections.lines())


def test_a_window_is_remembered_at_its_worst(make_run):
    slow_at = []

    def slow_for_a_moment(session):
        if not slow_at and session.seconds > 1.2:
            session.figures.record("Worker", "work", SERVICE, SUCCESS, 9_000_000_000)
            slow_at.append(session.seconds)
        return slow_at and session.seconds > slow_at[0] + 3

    session, _ = make_run(slow_for_a_moment, "Worker work: max < 5s, over 1s")
    (row,) = session.sections.rows("thresholds")
    assert not row["passed"]
    assert row["found"].startswith("9")  # a slice is right to 0.4 %
    late = row["at"] - int(slow_at[0])
    assert late in (0, 1, 2)  # 0 where this process came late to the end of a second


def test_a_threshold_ends_the_test_but_not_before_its_delay(make_run, caplog):
    began = []

    def never(session):
        began.append(session.seconds)
        return False

    _, environment = make_run(never, "Worker work: p50 < 1us, abort after 2s")
    assert environment.process_exit_code == 3
    assert max(began) >= 1.9
    assert "the test ends early: Worker work: p50 < 1us, abort after 2s (Worker work): " in (
        caplog.text
    )


def test_classes_and_their_module_have_thresholds_too(make_run, monkeypatch):
    class Judged(Worker):
        thresholds = ["Judged work: p50 < 30s"]

    monkeypatch.setitem(globals(), "thresholds", ["calls > 0"])
    session, _ = make_run(lambda session: session.results().total(SUCCESS), user=Judged)
    texts = [row["threshold"] for row in session.sections.rows("thresholds")]
    assert texts == ["calls > 0", "Judged work: p50 < 30s"]


@pytest.mark.parametrize("wrong", [["p95 < 3"], 5, [5]])
def test_thresholds_of_a_class_are_read_before_the_test(wrong):
    class Wrong(Worker):
        thresholds = wrong

    with pytest.raises(ConfigurationError):
        check_thresholds(SimpleNamespace(user_classes=[Wrong], parsed_options=None, runner=None))


@pytest.mark.parametrize(
    ("text", "reason", "marked"),
    [
        ("monitor.bd.node_load1: max < 3", "no monitor 'bd'; did you mean 'db'?", "bd"),
        ("monitor.broker.up max < 3", "give it with --protouser-monitor broker=URL", "broker"),
        (
            "monitor.db.node_laod1: max < 3",
            "the monitor 'db' shows no series 'node_laod1'; did you mean 'node_load1'?",
            "node_laod1",
        ),
        ("monitor.app.up max < 3", 'it selects q*, sum(a{b!="c"})', "up"),
        ("monitor.app.sum(a) max < 3", "shows no series 'sum(a)'; did you mean", "sum(a)"),
        ("monitor.web*.up max < 3", "there is no monitor 'web*'", "web*"),
        ("monitor.*.pages_* max < 3", "the monitor '*' shows no series 'pages_*'", "pages_*"),
    ],
)
def test_a_threshold_on_what_nobody_watches_is_an_error_before_the_test(text, reason, marked):
    def check(text):
        options = SimpleNamespace(
            protouser_monitor=["db=http://db:9100", 'app=http://app#q*,sum(a{b!="c"})'],
            protouser_threshold=[text],
        )
        check_thresholds(SimpleNamespace(user_classes=[], parsed_options=options, runner=None))

    check("monitor.db.node_load1: max < 3")
    check("monitor.db.process_cpu_seconds_total/s: max < 3")
    check('monitor.app.queue{name="x"} max < 3')
    check('monitor.app.sum(a{b!="c"})/s: max < 3')
    check("monitor.*.node_load*: max < 3")
    check("monitor.db.node_network_receive_bytes_total/s: max < 3MB")
    check("monitor.a*.queue*: max < 3")
    with pytest.raises(ConfigurationError) as caught:
        check(text)
    said, _, marks = str(caught.value).split("\n")
    assert reason in said
    begin = marks.index("^") - 2
    assert text[begin : begin + marks.count("^")] == marked


LOCUSTFILE = """
    import gevent
    from locust import constant, task
    from protouser import ProtocolUser

    class Worker(ProtocolUser):
        wait_time = constant(0.01)

        @task
        def work(self):
            with self.measure("work"):
                gevent.sleep(0.01)
"""


SLOW_IMPORT = """
    import time

    imported = time.perf_counter() + 1.2
    while time.perf_counter() < imported:
        pass
"""


@pytest.mark.slow
def test_the_command_says_what_crossed_and_a_file_of_thresholds_is_read(run_locust, tmp_path):
    (tmp_path / "slo.txt").write_text("# ours\nWorker work: p50 < 1us\n\nfailures < 1%\n")
    options = ["-t", "1s", "-u", "2", "--protouser-thresholds", str(tmp_path / "slo.txt")]
    # a run time shorter than the import: none of it would be left if that counted
    run = run_locust(textwrap.dedent(SLOW_IMPORT) + textwrap.dedent(LOCUSTFILE), *options)
    assert run.exit_code == 3, run
    assert "Thresholds: 1 passed, 1 crossed" in run.stderr + run.stdout
    (tmp_path / "slo.txt").write_text("Worker work: p50 < 1\n")
    run = run_locust(LOCUSTFILE, *options)
    assert run.exit_code == 2, run
    assert "                     ^\n" in run.stderr


SCHEDULED = """
    import gevent
    from locust import task
    from protouser import ProtocolUser, arrival_rate

    class Buyer(ProtocolUser):
        wait_time = arrival_rate("100/s", late="drop")
        thresholds = ["Buyer: dropped < 1%", "Buyer buy: failures < 1%", "*: rate > 1/s"]

        @task
        def buy(self):
            with self.measure("buy"):
                gevent.sleep(0.1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [(), ("--processes", "2")])
def test_iterations_that_were_dropped_fail_a_run(run_locust, tmp_path, processes):
    report = ("--protouser-json", "r.json")
    run = run_locust(SCHEDULED, "-t", "5s", "-u", "2", "-r", "2", *report, *processes)
    assert run.exit_code == 3, run
    results = json.loads((tmp_path / "r.json").read_text())
    check_results(results)
    crossed, *passed = results["thresholds"]
    assert (crossed["row"], crossed["passed"]) == ("Buyer", False)
    assert [(row["row"], row["passed"]) for row in passed] == [("Buyer buy", True)] * 2
    (schedule,) = results["schedules"]
    assert crossed["value"] == schedule["dropped"] / schedule["planned"] > 0.5
    assert results["run"]["workers"] == (2 if processes else 0)
    assert "  FAIL  Buyer: dropped < 1%  [Buyer]" in run.stderr
    head = next(line for line in run.stderr.splitlines() if line.startswith("Schedule  planned"))
    assert head.split()[:5] == ["Schedule", "planned", "started", "dropped", "late"]
    assert "of schedule Buyer" not in run.stderr
