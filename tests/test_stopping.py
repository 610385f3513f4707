"""Tests that end by what a user does, and names that no file would take."""

import json

import pytest

LOCUSTFILE = """
    import gevent
    from locust import constant, events, task
    from protouser import ProtocolUser

    class Guest(ProtocolUser):
        protocol = "guest"
        wait_time = constant(0.05)
        rounds = 0

        @task
        def call(self):
            with self.measure("call"):
                pass
            self.rounds += 1
            if self.rounds == 3:
                {ends}

    @events.request.add_listener
    def stop_at_the_third(name, context, **_):
        if context.get("last"):
            environments[0].runner.quit()

    environments = []

    @events.init.add_listener
    def remember(environment, **_):
        environments.append(environment)
"""
ENDS = {
    "in the task": "self.environment.runner.quit()",
    "in a greenlet": "self.spawn(self.environment.runner.quit)",
    "in a listener": 'self.measure("last", context={"last": True}).begin().end()',
}


@pytest.mark.parametrize(
    ("users", "ends"),
    [("1", "in the task"), ("4", "in the task"), ("1", "in a greenlet"), ("4", "in a listener")],
)
def test_a_user_may_end_the_test_and_everything_is_judged_and_written(run_locust, users, ends):
    run = run_locust(
        LOCUSTFILE.replace("{ends}", ENDS[ends]),
        *("-u", users, "-r", "4", "-t", "50s", "--protouser-json", "results.json"),
        *("--protouser-threshold", "guest call: p95 < 1ns"),
    )
    assert run.exit_code == 3, run.stderr
    assert "Thresholds: 0 passed, 1 crossed" in run.stdout + run.stderr


def test_a_user_of_a_worker_may_end_its_part_of_the_test(run_locust, tmp_path):
    run = run_locust(
        LOCUSTFILE.replace("{ends}", ENDS["in the task"]),
        *("-u", "2", "-r", "2", "-t", "50s", "--processes", "2"),
        *("--protouser-json", "results.json"),
    )
    assert run.exit_code == 0, run.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    (call,) = results["calls"]
    assert call["count"] == run.row("guest", "call")["num_requests"] >= 6
    assert results["run"]["missing_workers"] == []


EXITING = """
    import sys
    import gevent
    from locust import constant, events, task
    from protouser import ProtocolUser

    WHERE = {where!r}

    def leave(where):
        if where == WHERE:
            sys.exit({code!r})

    class Guest(ProtocolUser):
        protocol = "guest"
        wait_time = constant(0.05)
        rounds = 0

        def on_start(self):
            with self.measure("hello"):
                pass
            leave("on_start")

        def on_stop(self):
            with self.measure("goodbye"):
                pass
            leave("on_stop")

        @task
        def call(self):
            with self.measure("call"):
                pass
            leave("task")
            self.rounds += 1
            if self.rounds == 2:
                self.spawn(leave, "spawned greenlet")
                gevent.spawn(leave, "plain greenlet")
            if self.rounds == 3:
                self.measure("last").begin().end()
                if WHERE == "on_stop":
                    self.environment.runner.quit()

    @events.request.add_listener
    def at_the_last(name, **_):
        if name == "last":
            leave("listener")
"""


@pytest.mark.parametrize(
    "where", ["on_start", "task", "spawned greenlet", "plain greenlet", "listener", "on_stop"]
)
def test_who_calls_sys_exit_loses_nothing_and_gets_the_code(run_locust, tmp_path, where):
    run = run_locust(
        EXITING.format(where=where, code=7),
        *("-u", "3", "-r", "3", "-t", "50s", "--protouser-json", "results.json"),
    )
    output = run.stdout + run.stderr
    assert run.exit_code == 7, output
    assert "runner.quit() to end a test" in output
    calls = json.loads((tmp_path / "results.json").read_text())["calls"]
    counts = {(row["name"], row["outcome"]): row["count"] for row in calls}
    assert counts["hello", "success"] == 3
    assert counts["goodbye", "success"] == 3
    assert "protouser: " in output


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        (None, 0, "called sys.exit(): "),
        (0, 0, "called sys.exit(0): "),
        ("no token", 1, "called sys.exit('no token'): "),
    ],
)
def test_sys_exit_without_a_number_ends_as_python_does(run_locust, code, exit_code, said):
    run = run_locust(EXITING.format(where="task", code=code), "-u", "1", "-t", "50s")
    assert run.exit_code == exit_code, run.stderr
    assert said in run.stderr
    assert ("Exceptions: 1" in run.stderr) == bool(exit_code)


def test_an_interrupt_that_comes_to_a_user_in_its_task_is_locusts_and_ends_the_user(
    run_locust, tmp_path
):
    locustfile = EXITING.format(where="task", code=0).replace(
        "sys.exit(0)", "raise KeyboardInterrupt"
    )
    run = run_locust(locustfile, "-u", "1", "-t", "50s", "--protouser-json", "results.json")
    assert run.exit_code == 0, run.stderr
    assert "interrupted again" not in run.stderr
    calls = json.loads((tmp_path / "results.json").read_text())["calls"]
    counts = {(row["name"], row["outcome"]): row["count"] for row in calls}
    assert counts == dict.fromkeys([(name, "success") for name in ("call", "goodbye", "hello")], 1)


def test_sys_exit_on_a_worker_loses_nothing_and_fails_the_run(run_locust, tmp_path):
    run = run_locust(
        EXITING.format(where="task", code=7),
        *("-u", "2", "-r", "2", "-t", "50s", "--processes", "2"),
        *("--protouser-json", "results.json"),
    )
    assert run.exit_code == 1, run.stderr
    assert "sys.exit(7) ended the test  [locustfile.py:" in run.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["run"]["missing_workers"] == []
    counts = {(row["name"], row["outcome"]): row["count"] for row in results["calls"]}
    assert counts["call", "success"] == run.row("guest", "call")["num_requests"] >= 2


ODD_NAMES = r"""
    import enum
    from locust import constant, task
    from protouser import ProtocolUser

    class Row(enum.Enum):
        LOGIN = "login"

    class Guest(ProtocolUser):
        protocol = "guest"
        wait_time = constant(60)

        @task
        def calls(self):
            for name in ("cut \ud83d", Row.LOGIN, ("a", 1), None, 5, b"\xff", "two\nlines"):
                with self.measure(name):
                    pass
                self.measure(name, one_way=True).begin().end()
                with self.measure(name) as call:
                    call.failure("cut \ud83d")
                call.count("cut \ud83d")
            self.trend("cut \ud83d").add(1)
"""


def test_a_name_that_no_message_can_hold_loses_nothing(run_locust, tmp_path):
    run = run_locust(
        ODD_NAMES,
        *("-u", "2", "-r", "2", "-t", "2s", "--processes", "2"),
        *("--protouser-json", "results.json", "--protouser-csv", "results.csv"),
        *("--protouser-trace", "all", "--protouser-trace-file", "traces.jsonl"),
        *("--protouser-threshold", "failures < 1%", "--protouser-junit", "results.xml"),
    )
    assert run.exit_code == 3, run.stderr
    assert "Traceback" not in run.stderr
    names = [r"cut \ud83d", "Row.LOGIN", "('a', 1)", "None", "5", r"b'\xff'", "two\nlines"]
    assert {row["name"]: row["num_requests"] for row in run.stats} == dict.fromkeys(names, 6)
    results = json.loads((tmp_path / "results.json").read_text())
    assert {call["name"] for call in results["calls"]} == set(names)
    assert {call["count"] for call in results["calls"]} == {2}
    assert r"cut \ud83d" in (tmp_path / "results.csv").read_text()
    traces = (tmp_path / "traces.jsonl").read_text().splitlines()
    assert {json.loads(line)["outcome"] for line in traces} == {"success", "failure", "one_way"}
    assert (tmp_path / "results.xml").exists()


def test_a_trace_file_on_a_full_disk_ends_the_traces_and_nothing_else(run_locust):
    run = run_locust(
        LOCUSTFILE.replace("{ends}", "pass"),
        *("-u", "1", "-t", "2s", "--protouser-trace", "all", "--protouser-trace-file", "/dev/full"),
    )
    assert run.exit_code == 0, run.stderr
    assert run.stderr.count("/dev/full could not be written: No space left on device") == 1
    assert run.row("guest", "call")["num_requests"] > 10
