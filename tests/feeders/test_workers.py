"""Rows over real worker processes: each one once, and the test ends with the data."""

from __future__ import annotations

from collections import Counter

import pytest

LOCUSTFILE = """
    import os
    from locust import constant, task
    from protouser import CsvFeeder, ProtocolUser

    rows = CsvFeeder("data.csv", order="{order}")

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            taken = []
            try:
                for _ in range(500):
                    taken.append(next(rows).n)
            finally:
                with open(f"got-{{os.getpid()}}", "a") as file:
                    print(*taken, file=file)
"""


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("order", "workers"),
    [
        ("queue", 1),
        ("shuffle", 2),
        ("queue", 4),
        pytest.param("shuffle", 1, marks=SLOW),
        pytest.param("queue", 2, marks=SLOW),
        pytest.param("shuffle", 4, marks=SLOW),
    ],
)
def test_each_row_is_handed_out_once_over_all_workers(run_locust, tmp_path, order, workers):
    count = 100_003
    (tmp_path / "data.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(count)))
    run = run_locust(
        LOCUSTFILE.format(order=order),
        "--processes",
        f"{workers}",
        "-u",
        "8",
        "-r",
        "8",
        timeout=250,
    )
    files = list(tmp_path.glob("got-*"))
    seen = Counter(int(n) for file in files for n in file.read_text().split())
    assert run.exit_code == 0, run.stderr
    assert len(seen) == count, run.stderr
    assert set(seen.values()) == {1}
