"""Feeders in users of one process: who gets which row, and what comes at the end."""

from __future__ import annotations

from locust import TaskSet, User, constant, task

import io
import re
from collections import Counter

import gevent
import pytest
from gevent.event import Event

from protouser import ConfigurationError, CsvFeeder, Feeder, FeederExhausted, ProtocolUser
from protouser.testing import load

COUNT = 250


def numbers(**options):
    text = "n\n" + "".join(f"{n}\n" for n in range(options.pop("count", COUNT)))
    return CsvFeeder(io.StringIO(text), name="numbers", types={"n": int}, **options)


def taker(feeder, kind=ProtocolUser):
    """A user class that takes rows until it is stopped, and where they are noted by user."""
    seen = {}

    class Taker(kind):
        wait_time = constant(0)

        @task
        def take(self):
            row = next(feeder)
            seen.setdefault(id(self), []).append(row.n)
            gevent.sleep(0)

    return Taker, seen


@pytest.mark.parametrize("kind", [User, ProtocolUser])
@pytest.mark.parametrize("order", ["queue", "shuffle"])
def test_each_row_goes_to_one_user_and_then_all_users_stop(order, kind):
    User, seen = taker(numbers(order=order), kind)
    result = load(User, users=4, seconds=60)
    assert sorted(n for rows in seen.values() for n in rows) == list(range(COUNT))
    assert len(seen) == 4
    assert not result.errors
    assert result.seconds < 50


def test_every_user_has_all_rows_if_they_are_shared_by_nobody():
    User, seen = taker(numbers(share="user"))
    load(User, users=3, seconds=60)
    assert [*seen.values()] == [[*range(COUNT)]] * 3


def test_users_that_shuffle_for_themselves_do_it_differently():
    User, seen = taker(numbers(share="user", order="shuffle", seed=1))
    load(User, users=2, seconds=60)
    one, two = seen.values()
    assert sorted(one) == sorted(two) == [*range(COUNT)]
    assert one != two


def test_a_user_may_have_a_file_of_its_own(tmp_path):
    for number in (1, 2):
        (tmp_path / f"{number}.csv").write_text(f"n\n{number}0\n{number}1\n")
    files = iter(sorted(tmp_path.iterdir()))
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        def on_start(self):
            self.rows = CsvFeeder(next(files), share="user")

        @task
        def take(self):
            seen.append(next(self.rows).n)

    result = load(Taker, users=2, seconds=60)
    assert not result.errors
    assert sorted(seen) == ["10", "11", "20", "21"]


def test_every_class_has_all_rows():
    feeder = numbers(share="class")
    (One, first), (Two, second) = taker(feeder), taker(feeder)
    load(type("One", (One,), {}), type("Two", (Two,), {}), users=4, seconds=60)
    for seen in (first, second):
        assert sorted(n for rows in seen.values() for n in rows) == [*range(COUNT)]


@pytest.mark.parametrize("_time", range(3))
def test_a_sticky_row_stays_with_its_user(_time):
    feeder = numbers(sticky=True)
    lives = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        def on_start(self):
            self.rows = []
            lives.append(self.rows)

        @task
        def take(self):
            self.rows.append(next(feeder).n)

    load(Taker, users=3, seconds=60, until=lambda: sum(map(len, lives)) >= 100)
    assert sorted(sorted(set(rows)) for rows in lives) == [[0], [1], [2]]


def test_a_sticky_row_goes_to_the_next_user_when_its_own_stops():
    feeder = numbers(sticky=True, count=1, at_end="wait")
    lives = []

    class Short(ProtocolUser):
        wait_time = constant(0)

        @task
        def live(self):
            lives.append((id(self), next(feeder).n))
            gevent.sleep(0.01)
            self.stop()

    result = load(Short, users=3, seconds=60)
    assert [n for _, n in lives] == [0, 0, 0]
    assert len({user for user, _ in lives}) == 3
    waits = result.figures.timed["feeder", "numbers", "wait", "success"]
    assert waits.count == 2


@pytest.mark.parametrize("options", [{"at_end": "recycle"}, {"order": "circular"}])
def test_data_begin_anew_only_if_told_to(options):
    feeder = numbers(count=3, **options)

    class Taker(ProtocolUser):
        wait_time = constant(0)

        def on_start(self):
            self.rows = [next(feeder).n for _ in range(7)]
            seen.append(self.rows)
            self.environment.runner.quit()

        @task
        def nothing(self):
            gevent.sleep(1)

    seen = []
    load(Taker, users=1, seconds=60)
    assert seen == [[0, 1, 2, 0, 1, 2, 0]]


def test_a_shuffle_that_begins_anew_has_another_order():
    feeder = numbers(order="shuffle", at_end="recycle", seed=5)
    first, second = ([next(feeder).n for _ in range(COUNT)] for _ in range(2))
    assert sorted(first) == sorted(second) == [*range(COUNT)]
    assert first != second
    again = numbers(order="shuffle", at_end="recycle", seed=5)
    assert [next(again).n for _ in range(COUNT)] == first


def test_the_end_can_be_an_error():
    feeder = numbers(count=2, at_end="raise")
    caught = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            try:
                next(feeder)
            except FeederExhausted as error:
                caught.append(str(error))
                self.stop()

    load(Taker, users=1, seconds=60)
    assert caught == ["feeder 'numbers' has no more rows"]


def test_a_user_is_found_from_what_it_spawned_and_from_nested_tasks():
    feeder = numbers(share="user")
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        def take(self):
            seen.append(next(feeder).n)
            gevent.spawn(lambda: seen.append(next(feeder).n)).join()

        @task
        class Nested(TaskSet):
            @task
            def run_it(self):
                self.user.spawn(self.user.take).join()
                seen.append(next(feeder).n)
                self.user.stop()

    load(Taker, users=1, seconds=60)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("spawned", [False, True])
def test_a_user_is_found_when_its_end_is_scheduled_and_not_come_yet(spawned):
    feeder = numbers()
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        def take(self):
            seen.append(next(feeder).n)

        @task
        def take_to_the_last(self):
            self.take()
            self.greenlet.kill(block=False)
            if spawned:
                gevent.spawn(lambda: seen.append(next(feeder).n))
                gevent.idle()
            else:
                self.take()

    load(Taker, users=1, seconds=60, until=lambda: len(seen) == 2)
    assert seen == [0, 1]


def test_two_greenlets_of_a_user_get_one_row_for_its_life():
    def slow():
        for n in range(2):
            gevent.sleep(0.05)
            yield n

    feeder = Feeder(slow, name="slow", sticky=True)
    seen = {}

    class Taker(ProtocolUser):
        wait_time = constant(1)

        def on_start(self):
            both = [self.spawn(self.take) for _ in range(2)]
            gevent.joinall(both, raise_error=True)

        def take(self):
            seen.setdefault(id(self), []).append(next(feeder).value)

        @task
        def nothing(self):
            pass

    result = load(Taker, users=2, seconds=60, until=lambda: [*map(len, seen.values())] == [2, 2])
    assert not result.errors
    assert sorted(seen.values()) == [[0, 0], [1, 1]]


def test_who_is_no_user_gets_no_row_of_a_test_that_runs():
    feeder = numbers(at_end="wait")
    User, seen = taker(feeder)
    nobody = gevent.spawn_later(0.2, next, feeder)

    def done():
        return nobody.ready() and sum(map(len, seen.values())) == COUNT

    load(User, users=1, seconds=60, until=done)
    with pytest.raises(ConfigurationError, match="is no user's; take the row in a user"):
        nobody.get()
    assert sorted(n for rows in seen.values() for n in rows) == [*range(COUNT)]
    assert next(feeder).n == 0, "outside of tests a feeder is an iterator"


def test_several_rows_at_once_or_none():
    feeder = numbers(count=5)
    assert [row.n for row in feeder.take(2)] == [0, 1]
    assert feeder.peek().n == 2
    with pytest.raises(StopIteration):
        feeder.take(4)
    assert [row.n for row in feeder.take(3)] == [2, 3, 4]
    assert feeder.peek() is None
    assert list(feeder) == []


def test_feeders_go_together_with_zip_and_rows_through_transform():
    feeder = numbers(transform=lambda row: row.n * 10)
    letters = Feeder(["a", "b"], fields=["letter"])
    assert [(n, row.letter) for n, row in zip(feeder, letters, strict=False)] == [
        (0, "a"),
        (10, "b"),
    ]


def broken(rows):
    yield from rows
    raise OSError("no connection to postgres://ann:s3cret@db/accounts")


def test_a_source_that_raises_has_not_come_to_its_end():
    feeder = Feeder(lambda: broken([1, 2]), name="accounts")
    seen = []
    with pytest.raises(ConfigurationError) as caught:
        seen.extend(feeder)
    text = str(caught.value)
    assert [row.value for row in seen] == [1, 2]
    assert text.startswith("accounts: row 3 could not be made: OSError: no connection to postgres")
    assert "s3cret" not in text
    assert re.search(r"\(test_users\.py, line \d+\)$", text)


@pytest.mark.parametrize("order", ["queue", "shuffle"])
def test_a_source_that_raises_ends_the_test_with_an_error(make_locust_env, order, caplog):
    feeder = Feeder(lambda: broken(range(9)), order=order, name="accounts", fields=["n"])
    User, seen = taker(feeder)
    environment = make_locust_env(user_classes=[User])
    runner = environment.create_local_runner()
    runner.start(2, spawn_rate=10)
    with gevent.Timeout(60):
        while runner.user_count or environment.process_exit_code is None:
            gevent.sleep(0.01)
    assert environment.process_exit_code == 1
    taken = sorted(n for rows in seen.values() for n in rows)
    assert taken == ([*range(9)] if order == "queue" else [])
    assert caplog.text.count("row 10 could not be made") == 1
    assert "no more rows" not in caplog.text


def test_the_end_of_a_user_who_waits_for_a_row_is_not_the_end_of_the_data():
    asked, gone = Event(), Event()

    def slow():
        asked.set()
        gone.wait(60)
        yield from range(20)

    feeder = Feeder(slow)
    seen, ended = [], []

    def end(user):
        asked.wait(60)
        user.stop(force=True)
        user.greenlet.join()
        gone.set()

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            if not ended:
                ended.append(self)
                gevent.spawn(end, self)
            seen.append((self, next(feeder).value))

    result = load(Taker, users=2, seconds=60)
    assert not result.errors
    assert [n for _, n in seen] == [*range(20)]
    assert all(user is not ended[0] for user, _ in seen)


def test_a_test_ends_while_a_row_is_being_made():
    closed = []

    hangs = Event()

    def hanging():
        try:
            yield 1
            hangs.set()
            gevent.sleep(600)
        finally:
            closed.append(True)

    feeder = Feeder(hanging)
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            seen.append(next(feeder).value)

    result = load(Taker, users=3, seconds=60, until=lambda: seen and hangs.is_set())
    assert not result.errors
    assert seen == [1]
    assert closed == [True]


def test_rows_that_cost_nothing_are_not_waited_for():
    feeder = Feeder(lambda: iter(range(200)), name="quick")
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            seen.append(next(feeder).value)
            sum(range(100_000))  # every other user waits for its turn meanwhile

    result = load(Taker, users=4, seconds=60)
    assert seen == [*range(200)]
    waits = result.figures.timed.get(("feeder", "quick", "wait", "success"))
    assert waits is None or waits.count < 100


def test_the_end_of_an_inner_feeder_is_the_end_and_no_error():
    numbered = numbers(count=3)
    feeder = Feeder(lambda: (row.n * 10 for row in numbered), name="tens")
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            seen.append(next(feeder).value)

    result = load(Taker, users=2, seconds=60)
    assert not result.errors
    assert seen == [0, 10, 20]


def test_a_transform_that_raises_fails_its_task_and_no_other():
    def transform(row):
        if row.n % 10 == 3:
            raise ValueError(f"no {row.n}")
        return row.n

    feeder = numbers(count=30, transform=transform)
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            seen.append(next(feeder))

    result = load(Taker, users=2, seconds=60)
    assert [str(error) for error in result.errors] == ["no 3", "no 13", "no 23"]
    assert seen == [n for n in range(30) if n % 10 != 3]


def test_a_transform_is_called_when_its_row_is_taken_or_looked_at():
    called = []
    feeder = numbers(count=9, transform=lambda row: called.append(row.n) or row.n)
    assert [next(feeder), next(feeder)] == [0, 1]
    assert called == [0, 1]
    assert feeder.peek() == 2
    assert feeder.take(2) == [2, 3]
    assert called == [0, 1, 2, 2, 3]


def test_zipped_feeders_serve_users():
    pairs = zip(numbers(count=9), numbers(count=9, share="worker"), strict=True)
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            one, two = next(pairs)
            seen.append((one.n, two.n))

    load(Taker, users=3, seconds=60)
    assert seen == [(n, n) for n in range(9)]


def test_waiting_for_rows_ends_with_the_test_and_reads_one_row_at_a_time():
    asked = Counter()

    def slow():
        for n in range(3):
            asked["rows"] += 1
            gevent.sleep(0.01)
            yield n

    feeder = Feeder(slow, at_end="wait")
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            seen.append(next(feeder).value)

    result = load(Taker, users=3, seconds=60, stop_timeout=60, until=lambda: len(seen) == 3)
    assert result.seconds < 50
    assert sorted(seen) == [0, 1, 2]
    assert asked["rows"] == 3


def test_two_feeders_of_one_name_are_refused():
    one, two = numbers(), numbers()
    taken = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            taken.append(next(one))
            next(two)

    result = load(Taker, users=1, seconds=60, until=lambda: len(taken) > 1)
    assert {type(error) for error in result.errors} == {ConfigurationError}
    assert "two feeders with the name 'numbers'" in str(result.errors[0])


def test_rows_are_not_taken_in_native_threads():
    feeder = numbers()
    pool = gevent.get_hub().threadpool
    with pytest.raises(ConfigurationError, match="not in a native thread"):
        pool.apply(next, (feeder,))


def test_rows_are_not_taken_in_native_threads_by_users_who_have_some_at_hand():
    feeder = numbers()
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        def on_start(self):
            self.taken = self.timed(lambda: next(feeder), run="thread")

        @task
        def take(self):
            seen.append(next(feeder).n)
            with pytest.raises(ConfigurationError, match="not in a native thread"):
                self.taken()
            seen.append(next(feeder).n)
            self.stop()

    load(Taker, users=1, seconds=60)
    assert seen == [0, 1]


def test_what_is_taken_one_by_one_several_at_once_and_in_peeks_are_the_same_rows():
    feeder = numbers(count=300)
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            peeked = feeder.peek()
            row = next(feeder)
            assert (peeked, peeked.number) == (row, row.number)
            seen.append(row.n)
            seen.extend(row.n for row in feeder.take(3))

    result = load(Taker, users=1, seconds=60)
    assert not result.errors
    assert seen == [*range(300)]


def test_every_environment_reads_for_itself(make_locust_env):
    feeder = numbers(count=5)
    User, seen = taker(feeder)
    runners = [make_locust_env(user_classes=[User]).create_local_runner() for _ in range(2)]
    for runner in runners:
        runner.start(1, spawn_rate=1)
    with gevent.Timeout(60):
        while sum(map(len, seen.values())) < 10 or any(each.user_count for each in runners):
            gevent.sleep(0.01)
    assert [*seen.values()] == [[*range(5)]] * 2


@pytest.mark.parametrize("order", ["queue", "shuffle"])
def test_a_value_that_cannot_be_converted_ends_the_test_as_broken_rows_do(order, make_locust_env):
    feeder = Feeder([str(n) for n in range(200)] + ["x"], types={"value": int}, order=order)
    seen = []

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            seen.append(next(feeder).value)

    environment = make_locust_env(user_classes=[Taker])
    runner = environment.create_local_runner()
    runner.start(2, spawn_rate=10)
    with gevent.Timeout(60):
        while runner.user_count or environment.process_exit_code is None:
            gevent.sleep(0.01)
    assert len(seen) == len(set(seen)) <= 200
    assert environment.process_exit_code == 1


def test_a_test_that_is_started_again_reads_the_data_again(make_locust_env):
    feeder = numbers(count=20)
    User, seen = taker(feeder)
    environment = make_locust_env(user_classes=[User])
    runner = environment.create_local_runner()
    for times in (1, 2):
        runner.start(2, spawn_rate=10)
        with gevent.Timeout(60):
            while sum(map(len, seen.values())) < 20 * times or runner.user_count:
                gevent.sleep(0.01)
        runner.stop()
    assert Counter(n for rows in seen.values() for n in rows) == dict.fromkeys(range(20), 2)


LOCUSTFILE = """
    from locust import constant, task
    from protouser import CsvFeeder, ProtocolUser

    rows = CsvFeeder("data.csv", {options})

    class Taker(ProtocolUser):
        wait_time = constant(0)

        @task
        def take(self):
            row = next(rows)
            with self.measure("take"):
                pass
            print("got", row.n, flush=True)
"""


def test_a_headless_run_ends_when_the_data_have_ended_and_shows_a_table(run_locust, tmp_path):
    (tmp_path / "data.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(300)))
    run = run_locust(LOCUSTFILE.format(options=""), "-u", "3", "-r", "3")
    assert run.exit_code == 0, run.stderr
    assert sorted(int(line[4:]) for line in run.stdout.splitlines() if line[:4] == "got ") == [
        *range(300)
    ]
    assert "feeder 'data.csv' has no more rows: users who ask for one stop" in run.stderr
    table = [line.split() for line in run.stderr.splitlines() if line.startswith("data.csv ")]
    assert [cells[:-1] for cells in table] == [["data.csv", "300", "0", "0", "0", "0"]]


def test_a_run_with_broken_data_does_not_begin(run_locust, tmp_path):
    (tmp_path / "data.csv").write_text("n,m\n1,2\n3\n")
    run = run_locust(LOCUSTFILE.format(options=""))
    assert run.exit_code == 1
    assert run.stderr.splitlines()[-1] == (
        "protouser: data.csv, line 3, column 'm': the row has 1 of 2 values"
    )


def test_data_that_break_in_use_end_the_test_with_an_error(run_locust, tmp_path):
    (tmp_path / "data.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(3000)))
    breaking = LOCUSTFILE.replace("print(", "open('data.csv', 'w').close(); print(")
    run = run_locust(breaking.format(options=""), "-u", "3", "-r", "3")
    assert run.exit_code == 1
    assert run.stderr.count("data.csv: the file was truncated while it was in use") == 1
    assert "Traceback" not in run.stderr


def test_the_end_of_the_data_can_end_the_test(run_locust, tmp_path):
    (tmp_path / "data.csv").write_text("n\n1\n2\n")
    text = (
        LOCUSTFILE
        + """
    class Idle(ProtocolUser):
        wait_time = constant(1)

        @task
        def idle(self):
            pass
"""
    )
    run = run_locust(text.format(options="at_end='stop_test'"), "-u", "2", "-r", "2")
    assert run.exit_code == 0, run.stderr
    assert "feeder 'data.csv' has no more rows: the test stops" in run.stderr
