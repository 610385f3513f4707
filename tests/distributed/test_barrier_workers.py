"""Users on two workers wait for each other, also for those of a worker that is late."""

import json
from pathlib import Path

LOCUSTFILE = Path(__file__).with_name("barrier_locustfile.py")


def test_users_of_two_workers_wait_for_the_last(locusts, finish, tmp_path):
    master = locusts.master(2, "-u", 6, "-r", 6, "-t", "6s", locustfile=LOCUSTFILE)
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    workers = [
        locusts.worker(locustfile=LOCUSTFILE, TIMES=str(file), DELAY=delay)
        for file, delay in zip(files, ["0", "1.5"], strict=True)
    ]
    output = finish(master)
    for worker in workers:
        finish(worker)
    times = [json.loads(file.read_text()) for file in files]
    came = [at for each in times for at in each[0]]
    went = [at for each in times for at in each[1]]
    assert (len(came), len(went)) == (6, 6), output
    assert min(went) >= max(came)
