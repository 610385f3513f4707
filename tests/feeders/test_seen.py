"""What is seen of the data after a run: the table, the JSON file, waiting as series of its own."""

from __future__ import annotations

import json

LOCUSTFILE = """
    from locust import constant, task
    import gevent
    from protouser import CsvFeeder, Feeder, ProtocolUser

    def orders():
        for n in range({count}):
            if n % {every} == 0:
                gevent.sleep(0.01)
            yield n

    slow = Feeder(orders)
    again = CsvFeeder("data.csv", order="circular")
    own = CsvFeeder("data.csv", name="own", share="user", sticky=False)

    class Taker(ProtocolUser):
        wait_time = constant(0)

        def on_start(self):
            next(own)

        @task
        def take(self):
            next(again)
            n = next(slow).value
            with self.measure("take"):
                pass
"""


def test_waiting_the_table_and_the_json_file(run_locust, tmp_path):
    (tmp_path / "data.csv").write_text("n\n1\n2\n3\n")
    arguments = ["-u", "2", "-r", "2", "--protouser-json", "results.json"]
    run = run_locust(LOCUSTFILE.format(count=150, every=10), *arguments)
    assert run.exit_code == 0, run.stderr
    written = json.loads((tmp_path / "results.json").read_text())
    rows = {row.pop("feeder"): row for row in written["feeders"]}
    assert rows["orders"]["handed_out"] == 150
    assert 15 <= rows["orders"]["waited"] < 100  # the other user waits as well
    assert rows["own"]["handed_out"] == 2
    taken = rows["data.csv"]["handed_out"]
    assert 150 <= taken <= 152  # who got no order had taken a number before
    assert rows["data.csv"]["wraps"] == (taken - 1) // 3 or rows["data.csv"]["wraps"] >= 49
    for name, row in rows.items():
        cells = next(line.split() for line in run.stderr.splitlines() if line.startswith(name))
        assert cells == [name, *map(str, row.values())]
    waits = {call["name"]: call for call in written["calls"] if call["type"] == "feeder"}
    assert waits["orders"]["series"] == "wait"
    assert waits["orders"]["count"] == rows["orders"]["waited"]
    assert run.row("Taker", "take")["num_requests"] == 150  # and of those none has a wait in it
    warned = [line for line in run.stderr.splitlines() if "had to be waited for" in line]
    assert len([line for line in warned if "feeder 'orders': " in line]) == 1
    assert not any("feeder 'own': " in line for line in warned)  # two rows are too few


def test_less_than_one_wait_in_a_hundred_is_not_warned_of(run_locust, tmp_path):
    (tmp_path / "data.csv").write_text("n\n1\n")
    arguments = ["-u", "1", "--protouser-json", "results.json"]
    run = run_locust(LOCUSTFILE.format(count=2000, every=1000), *arguments)
    assert run.exit_code == 0, run.stderr
    written = json.loads((tmp_path / "results.json").read_text())
    handed_out = {row["feeder"]: row["handed_out"] for row in written["feeders"]}
    waited = {row["feeder"]: row["waited"] for row in written["feeders"]}
    assert handed_out["orders"] == 2000
    for name in ("orders", "data.csv"):  # a machine that is busy makes users wait as well
        warned = f"feeder {name!r}: " in run.stderr
        assert warned == (waited[name] > handed_out[name] / 100)


STICKY = """
    from locust import constant, events, task
    from locust.runners import MasterRunner
    import gevent
    from protouser import CsvFeeder, ProtocolUser

    accounts = CsvFeeder("data.csv", sticky=True)

    class Holder(ProtocolUser):
        wait_time = constant(0.2)

        def on_start(self):
            next(accounts)
            with self.measure("start"):
                pass

        @task
        def look(self):
            next(accounts)

    @events.test_start.add_listener
    def until_all_have_a_row(environment, **_):
        def wait():
            while environment.stats.total.num_requests < 120:
                gevent.sleep(0.1)
            environment.runner.quit()

        if isinstance(environment.runner, MasterRunner):
            gevent.spawn(wait)
"""


def test_that_users_of_workers_wait_for_the_row_of_their_life_is_not_warned_of(
    run_locust, tmp_path
):
    (tmp_path / "data.csv").write_text("n\n" + "1\n" * 200)
    run = run_locust(STICKY, *("-u", "120", "-r", "120", "-t", "60s", "--processes", "1"))
    cells = next(line.split() for line in run.stderr.splitlines() if line.startswith("data.csv "))
    assert int(cells[1]) == 120
    assert int(cells[-1]) > 1  # they did wait
    assert "had to be waited for" not in run.stderr
