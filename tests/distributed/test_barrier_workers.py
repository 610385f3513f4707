"""Users on two workers wait for each other, also for those of a worker that is late."""

import json
from pathlib import Path

from .web import get, post, press

LOCUSTFILE = Path(__file__).with_name("barrier_locustfile.py")


def went(file):
    """When users went, as far as their process has written it down."""
    return json.loads(file.read_text())[1] if file.exists() else []


def test_users_of_two_workers_wait_for_the_last(locusts, finish, finish_when, tmp_path):
    master = locusts.master(2, "-u", 6, "-r", 6, locustfile=LOCUSTFILE)
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    workers = [
        locusts.worker(locustfile=LOCUSTFILE, TIMES=str(file), DELAY=delay)
        for file, delay in zip(files, ["0", "1.5"], strict=True)
    ]
    output = finish_when(master, lambda: sum(len(went(file)) for file in files) == 6, "the last")
    for worker in workers:
        finish(worker)
    times = [json.loads(file.read_text()) for file in files]
    came = [at for each in times for at in each[0]]
    gone = [at for each in times for at in each[1]]
    assert (len(came), len(gone)) == (6, 6), output
    assert min(gone) >= max(came)


def test_users_of_a_worker_that_dies_meanwhile_are_not_waited_for(
    locusts, finish, finish_when, eventually
):
    master = locusts.master(2, "-u", 4, "-r", 4, locustfile=LOCUSTFILE)
    file = locusts.folder / "times.json"
    worker = locusts.worker(locustfile=LOCUSTFILE, TIMES=str(file))
    dying = locusts.worker(locustfile=LOCUSTFILE, DELAY="600")
    eventually(lambda: "All users spawned" in master.log.read_text(), "the users")
    eventually(lambda: file.exists() and len(json.loads(file.read_text())[0]) == 2, "the others")
    dying.kill()
    output = finish_when(master, lambda: len(went(file)) == 2, "the opening of the gate")
    finish(worker)
    came, gone = json.loads(file.read_text())
    assert (len(came), len(gone)) == (2, 2), output
    assert min(gone) >= max(came)


def test_a_test_that_is_started_again_begins_with_a_closed_gate(locusts, finish, eventually):
    web = ["--web-host", "127.0.0.1", "--web-port", locusts.port]
    file = str(locusts.folder / "PID.times")
    process = locusts.start(
        *web, "--processes", 2, locustfile=LOCUSTFILE, TIMES=file, DELAY_OF_SECOND="0.7"
    )

    def times():
        return [json.loads(file.read_text()) for file in locusts.folder.glob("*.times")]

    url = f"http://127.0.0.1:{locusts.port}"
    eventually(lambda: "Starting web interface" in process.log.read_text(), "the web interface")
    eventually(lambda: process.log.read_text().count("reported as ready") == 2, "the workers")
    for together in (4, 8):
        post(f"{url}/swarm", user_count=4, spawn_rate=4)
        eventually(lambda most=together: sum(len(each[1]) for each in times()) == most, "all")
        press(f"{url}/stop")
        eventually(lambda: get(f"{url}/stats/requests")["state"] == "stopped", "the stop")
    process.terminate()
    finish(process)
    found = times()
    for those in (slice(0, 2), slice(2, 4)):
        came = [at for each in found for at in each[0][those]]
        gone = [at for each in found for at in each[1][those]]
        assert (len(came), len(gone)) == (4, 4), found
        assert min(gone) >= max(came)
