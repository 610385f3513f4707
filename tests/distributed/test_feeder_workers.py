"""Feeders over workers: restarts, late joiners, who shares what, and a master that is silent."""

from locust import User, constant, task

import json
from collections import Counter
from pathlib import Path

import pytest

from protouser import CsvFeeder, attach

HERE = Path(__file__)
TAKER = HERE.with_name("feeder_locustfile.py")
SHARING = HERE.with_name("sharing_locustfile.py")
COUNT = 2000
OPTIONS = {"ON_LOSS": "drop", "LEASE": "10"}


class Taker(User):
    """What the master knows of the workers' users."""

    wait_time = constant(1)

    @task
    def take(self):
        pass


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("n\n" + "".join(f"{n}\n" for n in range(COUNT)))
    return path


@pytest.fixture
def master(locusts, make_locust_env):
    environment = make_locust_env(user_classes=[Taker])
    return environment.create_master_runner("127.0.0.1", locusts.port)


def taken(folder, name):
    file = folder / name
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.mark.slow
def test_a_late_worker_gets_rows_and_a_test_started_again_begins_anew(
    locusts, master, eventually, tmp_path, data
):
    feeder = CsvFeeder(data)
    attach(master.environment)
    names = ["one", "two"]
    gate = tmp_path / "gate"
    options = {"GATE": str(gate), **OPTIONS}
    locusts.worker(locustfile=TAKER, USED=str(tmp_path / "one"), **options)
    eventually(lambda: len(master.clients.ready) == 1, "the first worker")
    master.start(4, 100)
    eventually(lambda: taken(tmp_path, "one"), "rows")
    locusts.worker(locustfile=TAKER, USED=str(tmp_path / "two"), **options)
    eventually(lambda: taken(tmp_path, "two"), "rows of the second worker")
    gate.touch()

    for times in (1, 2):

        def seen():
            return Counter(n for name in names for n in taken(tmp_path, name))

        eventually(lambda: seen().total() >= COUNT * times and not master.user_count)  # noqa: B023
        assert seen() == dict.fromkeys(range(COUNT), times)
        assert all(taken(tmp_path, name) for name in names)
        master.stop()
        eventually(lambda: len(master.clients.ready) == 2, "both workers again")
        if times == 1:
            master.start(8, 100)
    del feeder


def test_a_worker_ends_with_an_error_when_the_master_knows_nothing_of_feeders(
    locusts, master, eventually, finish, data
):
    del data
    hasty = locusts.folder / "hasty.py"
    hasty.write_text(
        "from protouser.feeders import _leased_stock\n_leased_stock._TRIES = 2\n"
        + TAKER.read_text()
    )
    worker = locusts.worker(locustfile=hasty, **OPTIONS)
    eventually(lambda: len(master.clients.ready) == 1, "the worker")
    master.start(2, 100)
    log = finish(worker, expected=1)
    assert log.count("feeder 'data.csv': the master does not answer; it has to be there") == 1
    assert "Traceback" not in log
    (error,) = eventually(lambda: [*master.exceptions.values()], "the error at the master")
    assert "the master does not answer" in error["msg"]


@pytest.mark.slow
def test_workers_classes_and_users_have_all_rows_where_they_do_not_share_them(
    locusts, finish_when, tmp_path
):
    (tmp_path / "data.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(50)))
    master = locusts.start("--processes", 2, "--headless", "-u", 8, "-r", 8, locustfile=SHARING)

    def written():
        return [line for path in tmp_path.glob("got-*") for line in path.read_text().splitlines()]

    finish_when(master, lambda: len(written()) == 8, "what all users got")
    rows = {"worker": {}, "class": {}, "user": {}}
    for line in written():
        process, kind, user, got = json.loads(line)
        for share, group in (("worker", process), ("class", kind), ("user", user)):
            rows[share].setdefault(f"{process} {group}", []).extend(got[share])
    assert len(rows["worker"]) == 2
    assert len(rows["user"]) == 8
    for groups in rows.values():
        assert all(sorted(each) == [*range(50)] for each in groups.values())
