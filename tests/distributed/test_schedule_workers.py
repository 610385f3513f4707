"""A schedule is of the whole test: shared by all workers, also when they come, go and die."""

import json
import time
from pathlib import Path

import pytest

from protouser.testing import ScriptedServer

LOCUSTFILE = Path(__file__).with_name("schedule_locustfile.py")
QUIET = ["--headless", "--only-summary"]


def stages(rate, seconds):
    """As many slots as a rate gives in so many seconds; none before all users are there."""
    ramp = 0.2
    return json.dumps([["0/s", f"{rate}/s", ramp], [f"{rate}/s", seconds - ramp / 2]])


def run(locusts, finish, *options, **environment):
    process = locusts.start(*QUIET, *options, locustfile=LOCUSTFILE, **environment)
    return finish(process)


@pytest.mark.slow
@pytest.mark.measures  # until the master has heard of a worker's users, the others take its share
def test_the_rate_is_that_of_both_workers_together(locusts, finish):
    options = ["-u", 10, "-r", 10, "-t", "90s", "--processes", 2]
    output = run(locusts, finish, *options, STAGES=stages(200, 2.5))
    results = locusts.results()
    assert results["schedule"]["planned"] == results["schedule"]["started"] == 500
    assert results["calls"] == 500
    assert results["workers"] == [pytest.approx(250, abs=30)] * 2
    assert "All iterations are done" in output


@pytest.mark.slow
@pytest.mark.measures
def test_users_share_by_their_number(locusts, finish):
    options = ["-u", 3, "-r", 3, "-t", "90s", "--processes", 2]
    run(locusts, finish, *options, STAGES=stages(150, 2))
    results = locusts.results()
    assert results["schedule"]["started"] == 300
    assert sorted(results["workers"]) == pytest.approx([100, 200], abs=20)


@pytest.mark.slow
@pytest.mark.parametrize("limited", [{}, {"STAGES": '[["2000/s", "60s"]]'}], ids=["free", "rate"])
def test_iterations_are_exact_over_workers_and_end_the_run(locusts, finish, limited):
    options = ["-u", 9, "-r", 9, "-t", "90s", "--processes", 3]
    run(locusts, finish, *options, ITERATIONS="2000", WORK="0.001", **limited)
    results = locusts.results()
    assert results["calls"] == 2000
    assert results["schedule"]["planned"] == results["schedule"]["started"] == 2000
    assert results["schedule"]["unstarted"] == results["schedule"]["lost"] == 0


@pytest.mark.slow
def test_a_stall_shows_in_the_response_times_of_both_workers(locusts, finish, eventually):
    with ScriptedServer("echo") as server:
        options = [*QUIET, "-u", 20, "-r", 20, "-t", "90s", "--processes", 2]
        process = locusts.start(
            *options, locustfile=LOCUSTFILE, ECHO=server.url, STAGES=stages(200, 5)
        )
        eventually(lambda: server.received() > 300, "the load")
        with server.frozen():
            began = time.perf_counter()
            time.sleep(1)
            stalled = time.perf_counter() - began
        finish(process)
    results = locusts.results()
    assert results["schedule"]["planned"] == results["schedule"]["started"] == 1000
    for share in (95, 99):  # what was due in the stall waited for its end, at least
        expected = stalled * (1 - (1 - share / 100) * 5 / stalled)
        assert results[f"response {share}"] > 0.97 * expected
    assert results["service 95"] < results["response 95"] / 2


@pytest.mark.slow
def test_what_a_dead_worker_had_is_lost_and_the_others_take_the_rest(locusts, finish, eventually):
    environment = {"locustfile": LOCUSTFILE, "STAGES": stages(100, 12)}
    master = locusts.master(2, "-u", 6, "-r", 6, "-t", "90s", **environment)
    dying, staying = locusts.worker(**environment), locusts.worker(**environment)
    eventually(lambda: "a user buys" in dying.log.read_text(), "its first slot")
    dying.kill()
    finish(master)
    finish(staying)
    results = locusts.results()
    schedule = results["schedule"]
    # half of the slots until the master misses it, three or four seconds later
    assert schedule["lost"] > 0
    assert max(results["workers"]) > 600 + 20, "more than its own half"
    assert schedule["started"] + schedule["lost"] == schedule["planned"]
    assert schedule["planned"] == pytest.approx(1200, abs=3)


@pytest.mark.slow
def test_iterations_of_a_dead_worker_are_lost_and_the_others_do_the_rest(
    locusts, finish, eventually
):
    environment = {"locustfile": LOCUSTFILE, "ITERATIONS": "1500"}
    master = locusts.master(2, "-u", 6, "-r", 6, "-t", "90s", **environment)
    dying, staying = (locusts.worker(**environment, WORK=work) for work in ("600", "0.004"))
    eventually(lambda: dying.log.read_text().count("a user buys") == 3, "its first iterations")
    dying.kill()
    finish(master)
    finish(staying)
    results = locusts.results()
    schedule = results["schedule"]
    assert schedule["started"] + schedule["lost"] == schedule["planned"] == 1500
    assert schedule["lost"] > 0
    # what it had done in the time since its last report is lost too, with its figures
    assert results["calls"] == pytest.approx(schedule["started"], abs=3)


@pytest.mark.slow
def test_users_that_come_and_go_on_two_workers_change_no_slot(locusts, finish):
    options = ["-t", "90s", "--processes", 2]
    run(locusts, finish, *options, STAGES=stages(200, 4), COME_AND_GO="1")
    results = locusts.results()
    assert results["schedule"]["planned"] == pytest.approx(800, abs=3)
    assert results["schedule"]["started"] == results["schedule"]["planned"]
    assert results["calls"] + results["cancelled"] == results["schedule"]["started"]
    assert results["cancelled"] < 100, "no more than the calls of users that were removed"
    assert min(results["workers"]) > 100


@pytest.mark.slow
def test_a_worker_that_comes_later_takes_its_share(locusts, finish, eventually, tmp_path):
    environment = {"locustfile": LOCUSTFILE, "STAGES": stages(100, 10)}
    gate = tmp_path / "gate"
    late = locusts.worker(**environment, GATE=str(gate))
    eventually(lambda: "at the gate" in late.log.read_text(), "the start of the late one")
    master = locusts.master(1, "-u", 4, "-r", 4, "-t", "90s", **environment)
    first = locusts.worker(**environment)
    eventually(lambda: "All users spawned" in master.log.read_text(), "spawning")
    gate.touch()
    for process in (master, first, late):
        finish(process)
    results = locusts.results()
    assert results["schedule"]["planned"] == pytest.approx(1000, abs=2)
    assert results["schedule"]["started"] == pytest.approx(1000, abs=2)
    assert min(results["workers"]) > 20
