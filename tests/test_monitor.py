"""Figures of servers: selected, as rates, on the time line, from real exporters and the agent."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request

import pytest

from protouser._errors import ConfigurationError
from protouser.monitor import MONITOR, Reader, Selector, Target, samples_of

from .ports import free_port

LOCUSTFILE = """
from locust import constant, task
from protouser import ProtocolUser

class Idle(ProtocolUser):
    wait_time = constant(0.1)

    @task
    def work(self):
        with self.measure("work"):
            pass
"""

EXPORTED = """\
# HELP cpu_seconds_total Time.
# TYPE cpu_seconds_total counter
cpu_seconds_total{cpu="0",mode="user"} 10.5
cpu_seconds_total{cpu="1",mode="user"} 20
cpu_seconds_total{cpu="0",mode="idle"} 100
# TYPE load gauge
load 0.25
# TYPE broken gauge
broken NaN
"""

#: Burns a processor for so many seconds of its time, leaves a file when that is done, and stays.
BURNER = """
import sys, time
input()
end = time.process_time() + float(sys.argv[1])
while time.process_time() < end:
    pass
open("burnt", "w").close()
input()
"""


def figures_of(text, selectors):
    return {each.name: each.value for each in samples_of(text, Selector.parse_all(selectors))}


def test_samples_are_selected_by_name_and_label():
    assert figures_of(EXPORTED, "load") == {"load": 0.25}
    assert figures_of(EXPORTED, 'cpu*{mode="user",cpu!="0"}') == {
        'cpu_seconds_total{cpu="1",mode="user"}': 20
    }
    assert figures_of(EXPORTED, 'cpu*{mode=~"us.*"},load').keys() == {
        'cpu_seconds_total{cpu="0",mode="user"}',
        'cpu_seconds_total{cpu="1",mode="user"}',
        "load",
    }


def test_a_sum_is_one_figure():
    text = 'sum(cpu_seconds_total{mode!~"idle|iowait"})'
    assert figures_of(EXPORTED, text) == {text: 30.5}


@pytest.mark.parametrize(
    ("text", "shown"),
    [("lo ad", "'lo ad'"), ("load,{x}", "'{x}'"), ("load{mode=user}", "'mode=user'"),
     ('load{mode=~"("}', "regular expression"), ("sum(load", "'sum(load'")],
)  # fmt: skip
def test_a_selector_that_is_none_is_shown_from_where_it_goes_wrong(text, shown):
    with pytest.raises(ConfigurationError, match=re.escape(shown)):
        Selector.parse_all(text)


def test_counters_become_rates_and_gauges_stay():
    reader = Reader()
    every = Selector.parse_all("cpu_seconds_total,load,broken")

    def read(user, at):
        text = EXPORTED.replace("10.5", str(user))
        return reader.read(samples_of(text, every), at)

    name = 'cpu_seconds_total{cpu="0",mode="user"}/s'
    assert read(10, at=1.0) == {"load": 0.25}
    assert read(13, at=3.0)[name] == 1.5
    assert name not in read(1, at=4.0)  # it was started anew
    assert read(1.5, at=5.0)[name] == 0.5
    reader.forget()
    assert name not in read(9, at=6.0)


def test_a_target_has_a_name_an_address_and_a_secret_that_nobody_sees():
    target = Target.parse("db=http://ann:hunter2@127.0.0.1:9100#load")
    assert target.url == "http://127.0.0.1:9100/metrics"
    assert target.authorization == "Basic YW5uOmh1bnRlcjI="
    assert "hunter2" not in repr(target) + target.shown
    assert "YW5u" not in repr(target)
    assert Target.parse("db=127.0.0.1:9100/m").url == "http://127.0.0.1:9100/m"
    assert Target.parse("db=http://:abc@127.0.0.1:1").authorization == "Bearer abc"


@pytest.mark.parametrize(
    ("text", "words"),
    [("http://127.0.0.1:9100", "a monitor is NAME=URL"), ("1=http://h", "a monitor is NAME=URL"),
     ("db=ftp://h", "is no http:// or https:// address"), ("db=http://h#{", "selects nothing")],
)  # fmt: skip
def test_a_target_that_is_none_is_refused(text, words):
    with pytest.raises(ConfigurationError, match=words):
        Target.parse(text)


@pytest.fixture
def agent():
    """Start agents; each ends with the test."""
    started = []

    def start(*arguments, **environment):
        command = [sys.executable, "-m", "protouser", "agent", "--port", "0", *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment or None
        )
        started.append(process)
        return process.stdout.readline().removeprefix("listening on ").strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def document(tmp_path):
    return json.loads((tmp_path / "results.json").read_text())


@pytest.mark.measures
def test_the_processor_that_a_server_burns_is_seen_at_its_time_and_height(
    agent, run_locust, tmp_path
):
    burner = subprocess.Popen(
        [sys.executable, "-c", BURNER, "1.5"],
        stdin=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    url = agent("--process", str(burner.pid))
    file = LOCUSTFILE + textwrap.dedent(f"""
        import os
        import gevent
        from locust import events

        @events.test_start.add_listener
        def burn(environment, **event):
            with open("/proc/{os.getpid()}/fd/{burner.stdin.fileno()}", "w") as order:
                order.write("go\\n")
            gevent.spawn(end_three_seconds_later, environment.runner)

        def end_three_seconds_later(runner):
            while not os.path.exists("burnt"):
                gevent.sleep(0.05)
            gevent.sleep(3.5)
            runner.quit()
    """)
    try:
        run = run_locust(
            file, "-u", "1", "-t", "50s", "--protouser-json", "results.json",
            "--protouser-monitor", f"srv={url}#process_cpu_seconds_total,machine_*",
        )  # fmt: skip
    finally:
        burner.kill()
        burner.communicate()
    assert "srv process_cpu_seconds_total/s" in run.stderr
    found = document(tmp_path)
    rows = {row["series"]: row for row in found["monitors"]}
    cpu = rows["process_cpu_seconds_total/s"]
    assert 0.9 < cpu["mean"] * cpu["count"] < 2.1  # seconds of processor time
    assert cpu["gaps"] < cpu["count"]
    assert rows["machine_cpus"]["max"] >= 1
    name = "srv.process_cpu_seconds_total/s"
    by_second = [
        (each["at"], each["gauges"][name]["max"])
        for each in found["timeline"]
        if name in each["gauges"]
    ]
    assert max(value for _, value in by_second) == cpu["max"] < 1.6
    assert by_second[-1][1] < 0.1  # it had burnt by then
    burning = [at for at, value in by_second if value > 0.1]
    assert burning[0] <= 3  # it began with the test
    assert burning[-1] <= found["run"]["duration"] - 1.5


def test_a_threshold_on_a_server_that_burns_a_processor_aborts_the_run(agent, run_locust):
    burner = subprocess.Popen(
        [sys.executable, "-c", BURNER, "60"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        burner.stdin.write("go\n")
        burner.stdin.flush()
        run = run_locust(
            LOCUSTFILE, "-u", "1", "-t", "50s",
            "--protouser-monitor", f"srv={agent('--process', str(burner.pid))}",
            "--protouser-threshold",
            # on a machine with more to do than processors, much less is burnt than one
            "monitor.srv.process_cpu_seconds_total/s: max < 0.02, abort after 1s",
        )  # fmt: skip
    finally:
        burner.kill()
        burner.communicate()
    assert run.exit_code == 3, run
    assert "the test ends early: monitor.srv.process_cpu_seconds_total/s: max < 0.02" in run.stderr
    assert "Thresholds: 0 passed, 1 crossed" in run.stderr
    assert run.row("Idle", "work")["num_requests"] < 300  # 50 s were 500


def test_a_threshold_on_a_monitor_that_is_not_given_is_said_before_the_start(run_locust):
    run = run_locust(LOCUSTFILE, "-t", "1s", "--protouser-threshold", "monitor.db.up max < 1")
    assert "there is no monitor 'db'; give it with --protouser-monitor db=URL" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.exit_code == 1


def test_an_exporter_that_is_killed_and_started_again_is_a_gap_and_one_warning(
    debian, run_locust, tmp_path
):
    debian("prometheus-node-exporter", shutil.which("prometheus-node-exporter"))
    port = free_port()
    file = LOCUSTFILE + textwrap.dedent(f"""
        import subprocess, gevent
        from locust import events
        from protouser import attach

        def start():
            command = ["prometheus-node-exporter", "--web.listen-address=127.0.0.1:{port}"]
            return subprocess.Popen(command, stderr=subprocess.DEVNULL)

        def wait_for_seconds_with_figures(environment, number):
            slices = attach(environment).timeline.slices
            while sum("node.node_load1" in each.figures.gauges for _, each in slices()) < number:
                gevent.sleep(0.05)

        @events.test_start.add_listener
        def go_away_and_come_back(environment, **event):
            def change():
                exporter = start()
                wait_for_seconds_with_figures(environment, 2)
                exporter.kill()
                exporter.wait()
                gevent.sleep(6)
                environment.exporter = start()
                wait_for_seconds_with_figures(environment, 4)
                environment.runner.quit()
            gevent.spawn(change)

        @events.quitting.add_listener
        def end(environment, **event):
            environment.exporter.kill()
            environment.exporter.wait()
    """)
    run = run_locust(
        file, "-u", "1", "-t", "100s", "--protouser-json", "results.json",
        "--protouser-monitor", f"node=127.0.0.1:{port}",
    )  # fmt: skip
    assert run.stderr.count("the monitor 'node' at http://127.0.0.1:") == 1
    # the first look that fails finds nobody there, or nobody any more
    assert re.search(r"has a gap: .+ \(said once\)", run.stderr), run.stderr
    found = document(tmp_path)
    rows = {row["series"]: row for row in found["monitors"]}
    assert rows["node_load1"]["gaps"] >= 2
    assert rows["node_load1"]["count"] >= 3
    busy = rows['sum(node_cpu_seconds_total{mode!="idle"})/s']
    assert 0 <= busy["max"] < 1000  # a rate over the gap would be that of a machine since its start
    there = ["node.node_load1" in each["gauges"] for each in found["timeline"]]
    assert re.search("1+0+1+", "".join(str(int(each)) for each in there))


def test_a_target_that_hangs_delays_nothing(run_locust):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://:hunter2@127.0.0.1:{silent.getsockname()[1]}"
        run = run_locust(LOCUSTFILE, "-u", "1", "-t", "3s", "--protouser-monitor", f"db={url}")
    assert "the monitor 'db' at http://:***@127.0.0.1:" in run.stderr
    assert "no answer within 0.9 s (said once)" in run.stderr
    assert "hunter2" not in run.stdout + run.stderr
    assert run.row("Idle", "work")["num_requests"] > 6  # it asks three times for 0.9 s


def test_what_is_no_monitor_is_said_before_the_start(run_locust):
    run = run_locust(LOCUSTFILE, "-t", "1s", "--protouser-monitor", "here")
    assert "argument --protouser-monitor: a monitor is NAME=URL" in run.stderr
    assert run.exit_code == 2


def ask(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        return answer.read().decode()


def test_the_agent_tells_of_the_machine_and_of_one_process(agent):
    text = ask(agent("--process", str(os.getpid())))
    for name in ("machine_cpu_busy_seconds_total", "machine_memory_available_bytes",
                 "machine_network_sent_bytes_total", "process_resident_memory_bytes"):  # fmt: skip
        assert float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1]) > 0


def test_an_agent_with_a_token_answers_only_those_who_know_it(agent):
    url = agent("--token", "hunter2")
    assert "machine_cpus" in ask(url, Authorization="Bearer hunter2")
    for headers in ({}, {"Authorization": "Bearer other"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(url, **headers)
        assert refused.value.code == 401
        refused.value.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--host", "0.0.0.0"], "everybody could ask; give it a token"),
     (["--process", "no-such-program"], "there is no process named 'no-such-program'"),
     (["--process", "999999999"], "there is no process 999999999")],
)  # fmt: skip
def test_an_agent_that_should_not_start_says_why(arguments, words):
    done = subprocess.run(
        [sys.executable, "-m", "protouser", "agent", *arguments],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert words in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_agent_that_is_told_to_end_does_so_without_a_word(number):
    process = subprocess.Popen(
        [sys.executable, "-m", "protouser", "agent", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    process.send_signal(number)
    _, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (0, "")


def test_what_reads_exporters_is_there_before_the_test_or_is_missed_then(monkeypatch):
    """In the test its import would block all users for a tenth of a second."""
    check = "from protouser.monitor import MONITOR; MONITOR.check('a=http://h/metrics')"
    asked = f"import sys; {check}; print('prometheus_client.parser' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r'pip install "protouser\[monitor\]"'):
        MONITOR.check("a=http://h/metrics")
