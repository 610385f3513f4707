"""Rows of feeders: reading against ``csv.reader``, over workers against a message a row, memory.

    python benchmarks/feeders.py             # all parts
    python benchmarks/feeders.py reading     # or one: reading, workers, large

``ROUNDS`` is how often the sides take turns, ``MEGABYTES`` the size of the large file, which is
removed again. Reading is rows by CPU time after the check before the load, in one process. The
side ``CSVDictReader`` needs locust-plugins, and is left out without it.
"""

from locust import constant, task

import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from protouser import CsvFeeder, ProtocolUser
from protouser.testing import load

ROUNDS = int(os.environ.get("ROUNDS", "5"))
MEGABYTES = int(os.environ.get("MEGABYTES", "1000"))
ROWS = 200_000
SECONDS = 6
USERS = Path(__file__).with_name("_feeder_users.py")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="feeders-") as folder:
        if sys.argv[1:2] == ["child"]:
            child(*sys.argv[2:])
            return
        for part in (reading, workers, large):
            if part.__name__ in (sys.argv[1:] or ["reading", "workers", "large"]):
                part(Path(folder))


def write(path: Path, count: int) -> Path:
    """Six columns; in two of a hundred rows a field is quoted and has a comma."""
    with path.open("w", newline="") as file:
        file.write("id,user,password,city,note,amount\n")
        for n in range(count):
            note = '"said ""hello"", left"' if n % 50 == 0 else "nothing to be said here"
            file.write(f"{n},user{n},password{n * 7},Heidelberg,{note},{n % 1000}.50\n")
    return path


def by_hand(path: Path) -> float:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader)
        began = time.process_time()
        for values in reader:
            dict(zip(header, values, strict=False))
        return time.process_time() - began


def plugins(path: Path) -> float:
    from locust_plugins.csvreader import CSVDictReader

    reader = CSVDictReader(str(path))
    began = time.process_time()
    for _ in range(ROWS):
        next(reader)
    return time.process_time() - began


def nobody(path: Path) -> float:
    feeder = CsvFeeder(path)
    feeder.prepare()
    return taking(feeder)


def in_user(path: Path) -> float:
    feeder = CsvFeeder(path, name=f"{time.monotonic_ns()}")
    took = []

    class Taker(ProtocolUser):
        wait_time = constant(9)

        @task
        def take(self) -> None:
            took.append(taking(feeder, next(feeder)))
            self.environment.runner.quit()

    load(Taker, users=1, seconds=30)
    return took[0]


def taking(feeder: CsvFeeder, first: Any = None) -> float:
    began = time.process_time()
    for _ in range(ROWS - (first is not None)):
        next(feeder)
    return time.process_time() - began


def reading(folder: Path) -> None:
    path = write(folder / "data.csv", ROWS)
    sides: dict[str, Callable[[Path], float]] = {
        "csv.reader and dict(zip)": by_hand,
        "CSVDictReader": plugins,
        "ours, outside a user": nobody,
        "ours, inside one": in_user,
    }
    with suppress(ImportError):
        plugins(path)
    if "locust_plugins" not in sys.modules:
        del sides["CSVDictReader"]
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            found[name].append(ROWS / side(path))
    for name, rates in found.items():
        ratios = [a / b for a, b in zip(rates, found["csv.reader and dict(zip)"], strict=True)]
        rate, ratio = statistics.median(rates), statistics.median(ratios)
        print(f"reading  {name:26} {rate:10,.0f} rows/s of CPU  {ratio:.2f}x", flush=True)


def workers(folder: Path) -> None:
    path = folder / "leased.csv"
    with path.open("w") as file:
        file.write("n,m\n")
        file.writelines(f"{n},x\n" for n in range(4_000_000))
    for count, side, pace in (
        *((count, side, 0) for count in (1, 2, 4) for side in ("message", "ours")),
        (2, "ours", 25_000),
    ):
        rate, share, by_cpu = over_workers(folder, path, side, count, pace)
        title = f"{count} workers" + (f" at {count * pace:,}/s" if pace else "")
        cost = f"{rate:10,.0f} rows/s, {by_cpu:9,.0f} rows/s of CPU, master {share:.0%} of a core"
        print(f"workers  {title:26} {side:8} {cost}", flush=True)


def over_workers(
    folder: Path, path: Path, side: str, count: int, pace: int
) -> tuple[float, float, float]:
    """Rows a second, the master's share of a core, and rows by the CPU time of all processes."""
    out = Path(tempfile.mkdtemp(dir=folder))
    told = {"SIDE": side, "PACE": str(pace), "DATA": str(path), "OUT": str(out)}
    port = ["--master-bind-port", "20757", "--master-port", "20757"]
    load_ = ["-u", f"{count * 5}", "-r", "100", "-t", f"{SECONDS}s", "--processes", f"{count}"]
    command = [sys.executable, "-m", "locust", "-f", str(USERS), "--headless", *port, *load_]
    done = subprocess.run(
        command, env={**os.environ, **told}, cwd=out, capture_output=True, text=True, timeout=90
    )
    did = list(reports(out, "worker"))
    if not did:
        sys.exit(done.stderr)
    rate = sum(each["rows"] for each in did) / (
        max(each["last"] for each in did) - min(each["first"] for each in did)
    )
    (master,) = reports(out, "master")
    cpu = master["cpu"] + sum(each["cpu"] for each in did)
    rows = sum(each["rows"] for each in did)
    return rate, master["cpu"] / (master["last"] - master["first"]), rows / cpu


def reports(out: Path, kind: str) -> Iterator[dict[str, float]]:
    return (json.loads(path.read_text()) for path in out.glob(f"{kind}-*"))


def large(folder: Path) -> None:
    """A file of ``MEGABYTES``, and one of ten million short rows: each order in a new process."""
    path = write(folder / "large.csv", MEGABYTES * 1_000_000 // 87)
    short = folder / "short.csv"
    with short.open("w") as file:
        file.write("n\n")
        file.writelines(f"{n}\n" for n in range(10_000_000))
    for each, orders in ((path, ("queue", "circular", "shuffle")), (short, ("shuffle", "random"))):
        print(f"large    {each.name}: {each.stat().st_size / 1e6:,.0f} MB")
        for order in orders:
            command = [sys.executable, __file__, "child", str(each), order]
            print(subprocess.check_output(command, text=True, timeout=300), end="", flush=True)


def child(path: str, order: Any) -> None:
    before, cpu = megabytes(), time.process_time()
    feeder = CsvFeeder(path, order=order, seed=1)
    feeder.prepare()
    next(feeder)
    ready, wall = time.process_time() - cpu, megabytes()
    for _ in range(100_000):
        next(feeder)
    text = f"ready after {ready:.2f} s of CPU with {wall - before:.0f} MB more"
    print(f"large    {order:26} {text}, {megabytes() - before:.0f} MB after 100,000 rows")


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
