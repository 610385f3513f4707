"""Figures of a distributed run are complete: nothing that was measured at the end is lost."""

import json
import os
import signal
import time

import pytest


def operation(locusts):
    return locusts.results()["rows"]["operation"]


def operating(process):
    """How many users have begun an operation, by the log of a process and its children."""
    return process.log.read_text().count("a user operates")


def run(locusts, finish, *options, **environment):
    process = locusts.start("--headless", "--only-summary", *options, **environment)
    return finish(process)


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
def test_ten_operations_longer_than_the_test_are_ten_cancelled(locusts, finish, processes):
    options = ["-u", 10, "-r", 10, "-t", "4s", *processes]
    output = run(locusts, finish, *options, OPERATION_SECONDS="60")
    assert operation(locusts) == {"success": 0, "failure": 0, "cancelled": 10, "one_way": 0}
    assert "cancelled" in output
    assert locusts.results()["locust"] == {}


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
def test_operations_that_end_within_the_stop_timeout_all_count(locusts, finish, processes):
    options = ["-u", 12, "-r", 12, "-t", "2s", "--stop-timeout", 60, *processes]
    run(locusts, finish, *options, OPERATION_SECONDS="6")
    assert operation(locusts) == {"success": 12, "failure": 0, "cancelled": 0, "one_way": 0}
    assert locusts.results()["locust"] == {"operation": [12, 0]}


def test_a_master_with_separate_workers_has_everything(locusts, finish):
    master = locusts.master(2, "-u", 6, "-r", 6, "-t", "3s", "--stop-timeout", 60)
    workers = [locusts.worker(), locusts.worker()]
    finish(master)
    for worker in workers:
        finish(worker)
    results = locusts.results()
    assert results["missing"] == []
    assert results["rows"]["operation"]["cancelled"] == 0
    assert results["locust"]["operation"] == [results["rows"]["operation"]["success"], 0]


def test_ctrl_c_on_master_and_workers_loses_nothing(locusts, finish, eventually):
    options = ["-u", 10, "-r", 10, "-t", "90s", "--processes", 2, "--headless", "--only-summary"]
    process = locusts.start(*options, OPERATION_SECONDS="90")
    eventually(lambda: operating(process) == 10, "the operations")
    os.killpg(process.pid, signal.SIGINT)
    finish(process)
    assert operation(locusts) == {"success": 0, "failure": 0, "cancelled": 10, "one_way": 0}
    assert locusts.results()["missing"] == []


def test_ctrl_c_waits_for_what_users_still_do_when_they_stop(locusts, finish, eventually):
    options = ["-u", 4, "-r", 4, "-t", "90s", "--processes", 2, "--headless", "--only-summary"]
    process = locusts.start(*options, OPERATION_SECONDS="90", GOODBYE_SECONDS="1.5")
    eventually(lambda: operating(process) == 4, "the operations")
    os.killpg(process.pid, signal.SIGINT)
    finish(process)
    assert operation(locusts) == {"success": 0, "failure": 0, "cancelled": 4, "one_way": 0}
    assert locusts.results()["rows"]["goodbye"]["success"] == 4
    assert locusts.results()["missing"] == []


def test_a_worker_that_is_told_to_end_reports_unasked(locusts, finish, eventually):
    master = locusts.master(2, "-u", 4, "-r", 4, OPERATION_SECONDS="90")
    environment = {"OPERATION_SECONDS": "90"}
    leaving, staying = locusts.worker(**environment), locusts.worker(**environment)
    eventually(lambda: operating(leaving) + operating(staying) == 4, "the operations")
    leaving.send_signal(signal.SIGTERM)
    finish(leaving)
    master.terminate()
    finish(master)
    finish(staying)
    # the master may have moved the two users of the first worker to the second
    assert operation(locusts)["cancelled"] >= 4
    assert locusts.results()["missing"] == []


def test_a_worker_that_dies_is_named_and_the_run_does_not_pass(locusts, finish, eventually):
    options = ["-u", 4, "-r", 4, "-t", "6s", "--protouser-threshold", "op *: p50 < 60s"]
    master = locusts.master(2, *options, OPERATION_SECONDS="0.1")
    dying, staying = locusts.worker(), locusts.worker()
    eventually(lambda: operating(dying) and operating(staying), "the operations")
    dying.kill()
    output = finish(master, 3)
    finish(staying)
    assert "the run does not pass, since the figures of a worker are missing" in output
    assert len(locusts.results()["missing"]) == 1
    assert "the figures of" in output
    assert "INCOMPLETE: no final figures from" in output
    assert operation(locusts)["success"] > 10


CROSSED = ["--protouser-threshold", "op *: p50 < 1us", "--protouser-json", "protouser.json"]
FOUR = ["-u", 4, "-r", 4, "-t", "90s", "--headless", "--only-summary"]


def decided(locusts, output):
    """The one line that says so; all workers had reported before."""
    (line,) = [line for line in output.splitlines() if "p50 < 1us" in line and "FAIL" in line]
    assert json.loads((locusts.folder / "protouser.json").read_text())["thresholds"]
    assert locusts.results()["missing"] == []
    return line


def test_ctrl_c_still_decides_about_thresholds(locusts, finish, eventually):
    process = locusts.start(*FOUR, *CROSSED, "--processes", 2)
    eventually(lambda: operating(process) == 4, "the operations")
    os.killpg(process.pid, signal.SIGINT)
    decided(locusts, finish(process, 3))


@pytest.mark.parametrize(
    ("to", "processes"),
    [(os.kill, []), (os.kill, ["--processes", 2]), (os.killpg, ["--processes", 2])],
    ids=["alone", "to-the-master", "to-all"],
)
def test_a_second_ctrl_c_waits_for_nobody_and_loses_nothing(
    locusts, finish, eventually, to, processes
):
    options = [*FOUR, *CROSSED, "--stop-timeout", 90, *processes]
    process = locusts.start(*options, OPERATION_SECONDS="90", ENDS="stopping")
    eventually(lambda: operating(process) == 4, "the operations")
    to(process.pid, signal.SIGINT)
    all_of_them = 3 if processes else 1
    eventually(lambda: process.log.read_text().count("a test stops") >= all_of_them, "stopping")
    to(process.pid, signal.SIGINT)
    output = finish(process, 3)
    assert "interrupted again: nobody is waited for any longer" in output
    assert "Traceback" not in output
    assert decided(locusts, output).endswith("nothing was measured")
    assert operation(locusts)["cancelled"] == 4


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
@pytest.mark.parametrize(
    ("ends", "first", "then"),
    [
        ("shape stops", "interrupts are minded", "the test stops already"),
        ("shape goes on", "a shape goes on", "interrupts are minded"),
    ],
)
def test_a_second_ctrl_c_loses_nothing_with_a_shape(
    locusts, finish, eventually, ends, first, then, processes
):
    options = [*FOUR[4:], *CROSSED, "--stop-timeout", 50, *processes]
    process = locusts.start(*options, GOODBYE_SECONDS="45", WAIT_SECONDS="60", ENDS=ends)
    eventually(lambda: first in process.log.read_text(), "the moment for the first")
    process.send_signal(signal.SIGINT)
    eventually(lambda: then in process.log.read_text(), "the moment for the second")
    process.send_signal(signal.SIGINT)
    output = finish(process, 3)
    assert "interrupted again: nobody is waited for any longer" in output
    assert "Traceback" not in output
    assert decided(locusts, output).startswith("  FAIL  op *: p50 < 1us  [op operation]")
    assert operation(locusts)["success"] == 4
    assert locusts.results()["rows"]["goodbye"]["cancelled"] == 4


@pytest.mark.parametrize("who", ["shape", "task"])
def test_who_quits_out_of_a_test_gets_the_same_verdict(locusts, finish, who):
    options = FOUR if who == "task" else FOUR[4:]
    output = finish(locusts.start(*options, *CROSSED, ENDS=who), 3)
    assert decided(locusts, output).startswith("  FAIL  op *: p50 < 1us  [op operation]")
    assert operation(locusts)["success"] > 4


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
def test_ctrl_c_while_a_test_stops_waits_for_its_end(locusts, finish, eventually, processes):
    options = [*FOUR, *CROSSED, "--stop-timeout", 60, *processes]
    options[options.index("90s")] = "2s"
    process = locusts.start(*options, OPERATION_SECONDS="6", ENDS="stopping")
    all_of_them = 3 if processes else 1
    eventually(lambda: process.log.read_text().count("a test stops") >= all_of_them, "stopping")
    process.send_signal(signal.SIGINT)
    decided(locusts, finish(process, 3))
    assert operation(locusts) == {"success": 4, "failure": 0, "cancelled": 0, "one_way": 0}


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
def test_ctrl_c_that_comes_in_the_greenlet_that_stops_the_test_does_not_end_that(
    locusts, finish, processes
):
    options = [*FOUR, *CROSSED, "--stop-timeout", 60, *processes]
    options[options.index("90s")] = "2s"
    output = finish(locusts.start(*options, OPERATION_SECONDS="0.5", ENDS="interrupted"), 3)
    assert "Traceback" not in output
    decided(locusts, output)
    assert operation(locusts)["cancelled"] == 0


@pytest.mark.parametrize("processes", [[], ["--processes", 2]], ids=["alone", "forked"])
def test_a_second_ctrl_c_may_come_in_whatever_ends_the_test(locusts, finish, eventually, processes):
    process = locusts.start(*FOUR, *CROSSED, *processes, ENDS="interrupted")
    eventually(lambda: "All users spawned" in process.log.read_text(), "spawning")
    process.send_signal(signal.SIGINT)
    output = finish(process, 3)
    assert "interrupted again: nobody is waited for any longer" in output
    assert "Traceback" not in output
    decided(locusts, output)


def test_ctrl_c_again_ends_a_user_who_blocks_the_loop(locusts, finish, eventually):
    process = locusts.start("-u", 1, "-t", "90s", "--headless", *CROSSED, ENDS="blocked")
    eventually(lambda: "a user blocks" in process.log.read_text(), "the user")

    def interrupted():
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        return "a user was interrupted" in process.log.read_text()

    eventually(interrupted, "the interrupt")
    output = finish(process, 3)
    assert "Traceback" not in output
    assert locusts.results()["missing"] == []
