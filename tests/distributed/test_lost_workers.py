"""What becomes of rows when a worker is killed, and when one stands still and goes on."""

import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

LOCUSTFILE = Path(__file__).with_name("feeder_locustfile.py")
COUNT = 2200
LEASE = 1.5


def used(folder, worker):
    file = folder / worker
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("on_loss", "still"),
    [
        pytest.param("drop", 6, id="drop"),  # it is missing to Locust after 4.4 s
        pytest.param(
            "requeue", 3, id="requeue"
        ),  # its rows go to others after one and a half lease
    ],
)
def test_rows_of_workers_that_die_or_stand_still(
    locusts, finish, eventually, tmp_path, on_loss, still
):
    (tmp_path / "data.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(COUNT)))
    options = {"ON_LOSS": on_loss, "LEASE": str(LEASE)}
    master = locusts.master(3, "-u", 3, "-r", 3, locustfile=LOCUSTFILE, **options)
    stays, dies, stands = (
        locusts.worker(locustfile=LOCUSTFILE, USED=str(tmp_path / name), **options)
        for name in ("stays", "dies", "stands")
    )
    names = ("stays", "dies", "stands")
    eventually(lambda: all(len(used(tmp_path, name)) > 60 for name in names), "60 rows each")
    dies.kill()
    stands.send_signal(signal.SIGSTOP)
    stopped = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    eventually(lambda: psutil.Process(stands.pid).status() in stopped, "the standstill")
    before = {*used(tmp_path, "dies"), *used(tmp_path, "stands")}
    time.sleep(still)
    stands.send_signal(signal.SIGCONT)
    log = finish(master)
    finish(stays)
    finish(stands)

    seen = Counter(n for name in names for n in used(tmp_path, name))
    twice = {n for n, times in seen.items() if times > 1}
    (line,) = [line.split() for line in log.splitlines() if line.startswith("data.csv ")]
    handed_out, given_back, lost, duplicates, wraps = (int(n.replace(",", "")) for n in line[1:6])
    assert given_back == wraps == 0
    assert set(used(tmp_path, "stands")) - before, "it went on"
    if on_loss == "drop":
        assert not twice
        assert duplicates == 0
        assert handed_out + lost == COUNT
        assert COUNT - len(seen) <= lost < COUNT / 4
    else:
        assert set(seen) == {*range(COUNT)}
        assert twice <= before, "only what was used unheard is used again"
        assert lost == 0
        assert handed_out - duplicates == COUNT
        assert duplicates <= len(twice) == seen.total() - COUNT
