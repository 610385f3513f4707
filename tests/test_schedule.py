"""Tasks that start when they are due: what users, TaskSets and stopping make of a schedule."""

from locust import SequentialTaskSet, TaskSet, User, between, constant, task

import itertools
from collections import Counter

import gevent
import pytest

from protouser import ConfigurationError, Feeder, ProtocolUser, arrival_rate, now
from protouser._schedule import schedules
from protouser.testing import ScriptedServer, load

LONG = 60  # seconds, for what ends by itself long before


def until(condition):
    with gevent.Timeout(LONG):
        while not condition():
            gevent.sleep(0.01)


def entry(results, name="Buyer"):
    found = [each for each in schedules(results.figures) if each["class"] == name]
    assert len(found) == 1, found
    return found[0]


def accounted(schedule):
    ends = ("started", "dropped", "unstarted", "lost")
    return schedule["planned"] == sum(schedule[end] for end in ends)


def series(results, name, outcome="success", type_="schedule", row="Buyer"):
    return results.figures.timed[type_, row, name, outcome]


def buyer(*stages, work=0.0, **options):
    class Buyer(ProtocolUser):
        protocol = "shop"
        wait_time = arrival_rate(*stages, **options)

        @task
        def buy(self):
            with self.measure("buy"):
                gevent.sleep(work)

    return Buyer


def test_tasks_start_at_the_rate_whatever_the_number_of_users():
    for users in (3, 30):
        results = load(buyer(("100/s", "1s")), users=users, seconds=LONG)
        assert entry(results)["started"] == 100
        assert results["shop", "buy"].successes == 100
        assert series(results, "response", type_="shop", row="buy").count == 100
        assert series(results, "iteration").count == 100
        assert series(results, "lateness").count == 100


def test_the_first_task_waits_for_its_slot_too():
    slots = []

    class Buyer(ProtocolUser):
        wait_time = arrival_rate(("10/s", "0.5s"))

        @task
        def buy(self):
            slots.append((self._iteration._slot.due, now()))

    load(Buyer, users=5, seconds=LONG)
    first = slots[0][0]
    assert [due - first for due, _ in slots] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert all(began >= due for due, began in slots)


def test_stages_follow_each_other_and_then_the_users_stop():
    results = load(buyer(("0/s", "100/s", "500ms"), ("100/s", "500ms")), users=5, seconds=LONG)
    schedule = entry(results)
    assert schedule["started"] == schedule["planned"] == 75
    assert results.seconds < LONG - 5


def test_random_arrivals_are_those_of_their_seed():
    def times(seed):
        began = []

        class Buyer(ProtocolUser):
            wait_time = arrival_rate(("50/s", "1s"), poisson=True, seed=seed)

            @task
            def buy(self):
                began.append(self._iteration._slot.due)

        load(Buyer, users=10, seconds=LONG)
        return [round(at - began[0], 6) for at in began]

    first = times(1)
    assert first == times(1) != times(2)
    gaps = sorted(b - a for a, b in itertools.pairwise(first))
    assert gaps[-1] > 5 * gaps[len(gaps) // 4]


def test_too_few_users_catch_up_and_their_wait_is_response_time():
    results = load(buyer(("50/s", "400ms"), work=0.1), users=1, seconds=LONG)
    schedule = entry(results)
    assert accounted(schedule)
    assert schedule["started"] == 20
    assert schedule["late"] >= 15
    service, response = (
        series(results, each, type_="shop", row="buy") for each in ("service", "response")
    )
    lateness = series(results, "lateness")
    assert response.mean == pytest.approx(service.mean + lateness.mean, rel=0.1)
    # 20 tasks of 0.1 s one after the other: the last was due at 0.38 s and ends at 2 s
    assert response.maximum > 1.5e9
    assert lateness.maximum > 1.4e9


def test_too_few_users_drop_what_nobody_is_there_for():
    results = load(buyer(("50/s", "1s"), work=0.1, late="drop"), users=1, seconds=LONG)
    schedule = entry(results)
    assert accounted(schedule)
    assert schedule["planned"] == 50
    assert schedule["dropped"] >= 35
    assert schedule["started"] == results["shop", "buy"].successes == 50 - schedule["dropped"]
    assert schedule["late"] == 0


def test_too_few_users_let_the_schedule_slip():
    results = load(buyer("50/s", work=0.1, late="slip"), users=1, seconds=1)
    schedule = entry(results)
    assert accounted(schedule)
    assert schedule["started"] <= results.seconds / 0.1 + 1
    assert schedule["dropped"] == schedule["late"] == 0
    assert schedule["unstarted"] <= 1


def test_a_schedule_that_slips_starts_all_of_its_tasks_later():
    results = load(buyer(("50/s", "200ms"), work=0.1, late="slip"), users=1, seconds=LONG)
    schedule = entry(results)
    assert schedule["planned"] == schedule["started"] == 10
    assert schedule["late"] == 0
    # nobody waits in vain: what would have been a wait moved the schedule
    assert series(results, "response", type_="shop", row="buy").maximum == pytest.approx(
        series(results, "service", type_="shop", row="buy").maximum, rel=0.1
    )
    assert results.seconds > 0.9


@pytest.mark.parametrize("late", ["catch_up", "drop"])
def test_figures_that_are_reset_in_the_middle_leave_every_slot_accounted_for(locust_env, late):
    done = []

    class Buyer(ProtocolUser):
        wait_time = arrival_rate(("0/s", "100/s", 0.2), ("100/s", 0.9), late=late)

        @task
        def buy(self):
            done.append(now())
            gevent.sleep(0.05)

    locust_env.user_classes = [Buyer]
    runner = locust_env.create_local_runner()
    runner.start(2, spawn_rate=2)
    until(lambda: len(done) >= 10)
    locust_env.events.reset_stats.fire()
    before = len(done)
    until(lambda: runner.state == "stopped")
    (schedule,) = schedules(locust_env._protouser_session.results())
    assert schedule["planned"] == schedule["started"] + schedule["dropped"]
    assert schedule["started"] == len(done) - before
    if late == "catch_up":
        assert len(done) == 100
    else:
        assert 0 < schedule["dropped"] < 100


def test_a_feeder_that_ends_ends_the_schedule_and_the_test():
    rows, seen = Feeder(range(20), name="numbers"), []

    class Buyer(ProtocolUser):
        wait_time = arrival_rate("100/s")

        @task
        def buy(self):
            seen.append(next(rows)[0])

    results = load(Buyer, users=3, seconds=LONG)
    assert results.seconds < LONG - 5
    assert sorted(map(int, seen)) == list(range(20))
    schedule = entry(results)
    assert accounted(schedule)
    assert schedule["started"] == 23  # each of the three users learns of the end in a slot


def test_what_is_due_when_the_test_ends_counts_as_unstarted():
    results = load(buyer("100/s", work=60), users=2, seconds=1.5)
    schedule = entry(results)
    assert accounted(schedule)
    assert schedule["started"] == 2
    assert schedule["unstarted"] >= 40


def test_lateness_belongs_to_the_first_call_of_an_iteration():
    class Buyer(ProtocolUser):
        protocol = "shop"
        wait_time = arrival_rate(("100/s", "100ms"))

        @task
        def buy(self):
            with self.measure("told", one_way=True):
                pass
            with self.measure("first"):
                gevent.sleep(0.05)
            with self.measure("second"):
                pass

    results = load(Buyer, users=1, seconds=LONG)
    first = series(results, "response", type_="shop", row="first")
    second = series(results, "response", type_="shop", row="second")
    assert first.count == second.count == 10
    # the tenth was due at 90 ms, and could begin when nine of 50 ms had ended
    assert first.maximum > 0.4e9
    assert second.mean < first.mean / 2  # had it that lateness too, it would be nearly as long
    assert ("shop", "told", "response", "success") not in results.figures.timed


def test_a_user_that_waits_is_stopped_at_once_and_takes_no_slot_with_it():
    began = now()
    results = load(buyer("1/m"), users=3, seconds=0.3, stop_timeout=LONG)
    assert now() - began < LONG - 5
    assert entry(results)["planned"] == 1


def test_a_running_task_may_finish_within_the_stop_timeout():
    began = []

    class Buyer(ProtocolUser):
        protocol = "shop"
        wait_time = arrival_rate("1/m")

        @task
        def buy(self):
            with self.measure("buy"):
                began.append(self)
                gevent.sleep(0.5)

    results = load(Buyer, users=3, seconds=LONG, stop_timeout=LONG, until=lambda: began)
    assert results["shop", "buy"].successes == 1


def test_every_task_of_a_taskset_takes_a_slot_and_entering_it_takes_none():
    done = Counter()

    class Visit(SequentialTaskSet):
        @task
        def look(self):
            done["look"] += 1

        @task
        def pay(self):
            done["pay"] += 1
            self.interrupt()

    class Nested(TaskSet):
        tasks = [Visit]

    class Buyer(ProtocolUser):
        wait_time = arrival_rate(("100/s", "200ms"))
        tasks = [Nested]

    results = load(Buyer, users=1, seconds=LONG)
    assert entry(results)["started"] == 20
    assert done == {"look": 10, "pay": 10}


def test_async_tasks_take_slots():
    class Buyer(ProtocolUser):
        protocol = "shop"
        wait_time = arrival_rate(("50/s", "200ms"))

        @task
        async def buy(self):
            with self.measure("buy"):
                pass

    results = load(Buyer, users=2, seconds=LONG)
    assert entry(results)["started"] == 10
    assert series(results, "response", type_="shop", row="buy").count == 10


def test_classes_have_schedules_of_their_own():
    ended = []

    class Seller(ProtocolUser):
        wait_time = arrival_rate(("30/s", "500ms"))

        def on_stop(self):
            ended.append(self)

        @task
        def sell(self):
            pass

    class Watcher(ProtocolUser):
        protocol = "w"
        wait_time = constant(0.01)

        @task
        def watch(self):
            with self.measure("watch"):
                pass

    Buyer = buyer(("40/s", "500ms"))
    Buyer.on_stop = ended.append
    classes = (Buyer, Seller, Watcher)
    results = load(*classes, users=6, seconds=LONG, until=lambda: len(ended) == 4)
    assert entry(results)["started"] == 20
    assert entry(results, "Seller")["started"] == 15
    assert ("w", "watch", "response", "success") not in results.figures.timed
    assert len(schedules(results.figures)) == 2


def test_the_clock_starts_when_all_users_are_ready():
    ready, everybody, dues = [], gevent.event.Event(), []

    class Buyer(ProtocolUser):
        wait_time = arrival_rate(("100/s", "500ms"))

        def on_start(self):
            gevent.sleep(0.05 * len(ready))
            ready.append(now())
            if len(ready) == 5:
                everybody.set()
            everybody.wait()

        @task
        def buy(self):
            dues.append(self._iteration._slot.due)

    schedule = entry(load(Buyer, users=5, seconds=LONG))
    assert schedule["started"] == 50
    assert min(dues) >= max(ready)


def test_until_all_users_are_there_the_rate_is_scaled(locust_env):
    dues = []

    class Buyer(ProtocolUser):
        wait_time = arrival_rate("100/s")

        @task
        def buy(self):
            dues.append(self._iteration._slot.due)

    locust_env.user_classes = [Buyer]
    runner = locust_env.create_local_runner()
    runner.start(4, spawn_rate=2)
    until(lambda: runner.state == "running")
    there = len(dues)
    until(lambda: len(dues) > there + 50)
    gaps = [later - due for due, later in itertools.pairwise(dues)]
    assert gaps[:10] == pytest.approx([0.02] * 10)  # 2 of 4 users are 50/s
    assert gaps[-10:] == pytest.approx([0.01] * 10)


def test_a_task_that_fails_is_a_failed_iteration_and_the_schedule_goes_on():
    class Buyer(ProtocolUser):
        protocol = "shop"
        wait_time = arrival_rate(("50/s", "400ms"))

        @task
        def buy(self):
            with self.measure("buy"):
                raise ValueError("sold out")

    results = load(Buyer, users=2, seconds=LONG)
    assert entry(results)["started"] == 20
    assert series(results, "iteration", "failure").count == 20
    assert series(results, "response", "failure", "shop", "buy").count == 20


def test_a_run_by_another_rate_after_the_first_begins_anew(locust_env):
    Buyer = buyer(("100/s", "300ms"))
    locust_env.user_classes = [Buyer]
    runner = locust_env.create_local_runner()
    for _ in range(2):
        runner.start(2, spawn_rate=2)
        runner.spawning_greenlet.join()
        until(lambda: runner.state == "stopped")
        figures = locust_env._protouser_session.results()
        assert [each["started"] for each in schedules(figures)] == [30]


def test_users_that_come_and_go_change_no_slot(locust_env):
    Buyer = buyer(("0/s", "200/s", 0.2), ("200/s", 1.9), seed=3)
    locust_env.user_classes = [Buyer]
    locust_env.stop_timeout = LONG
    runner = locust_env.create_local_runner()
    bought = []
    locust_env.events.request.add_listener(lambda **_: bought.append(1))
    for users, number in ((4, 20), (12, 150), (2, 0)):
        runner.start(users, spawn_rate=12)
        until(lambda number=number: len(bought) >= number)
    runner.spawning_greenlet.join()
    until(lambda: runner.state == "stopped")
    (schedule,) = schedules(locust_env._protouser_session.results())
    assert schedule["planned"] == schedule["started"] == 400


def test_iterations_are_the_limit_of_all_users_together():
    class Buyer(ProtocolUser):
        protocol = "shop"
        iterations = 100
        wait_time = constant(0)

        @task
        def buy(self):
            with self.measure("buy"):
                gevent.sleep(0.001)

    results = load(Buyer, users=7, seconds=LONG)
    assert results["shop", "buy"].successes == 100
    schedule = entry(results)
    assert accounted(schedule)
    assert schedule["planned"] == schedule["started"] == 100
    assert results.seconds < LONG - 5


def test_iterations_that_a_test_has_no_time_for_are_unstarted():
    class Buyer(ProtocolUser):
        iterations = 100
        wait_time = between(0.05, 0.1)

        @task
        def buy(self):
            pass

    schedule = entry(load(Buyer, users=2, seconds=0.5))
    assert schedule["planned"] == 100
    assert schedule["unstarted"] == 100 - schedule["started"] > 50


def test_iterations_limit_an_arrival_rate():
    limited = buyer("200/s")
    limited.iterations = 30
    results = load(limited, users=5, seconds=LONG)
    assert entry(results)["started"] == results["shop", "buy"].successes == 30


def test_the_headless_command_ends_when_the_iterations_are_done(run_locust):
    run = run_locust(
        """
        from locust import task, constant
        from protouser import ProtocolUser

        class Buyer(ProtocolUser):
            iterations = 25
            wait_time = constant(0)

            @task
            def buy(self):
                with self.measure("buy"):
                    pass
        """,
        *("-u", "4", "-r", "4", "-t", "50"),
    )
    assert run.exit_code == 0, run.stderr
    assert run.row("Buyer", "buy")["num_requests"] == 25
    assert "All iterations are done" in run.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('wait_time = arrival_rate("0/s")', "Buyer: at a rate of 0 nothing would ever start"),
        ('wait_time = arrival_rate("200/x")', "    200/x\n        ^"),
        ("iterations = 0", "Buyer: iterations = 0 is no whole number above zero"),
    ],
)
def test_the_command_refuses_bad_input_before_the_test(run_locust, line, words):
    run = run_locust(
        f"""
        from locust import task
        from protouser import ProtocolUser, arrival_rate

        class Buyer(ProtocolUser):
            {line}

            @task
            def buy(self):
                pass
        """,
    )
    assert run.exit_code == 1
    assert words in run.stderr
    assert "Traceback" not in run.stderr


def test_a_rate_on_a_taskset_or_another_user_is_refused():
    class Visit(TaskSet):
        wait_time = arrival_rate("1/s")

        @task
        def look(self):
            pass

    class Buyer(ProtocolUser):
        tasks = [Visit]

    class Plain(User):
        wait_time = arrival_rate("1/s")

        @task
        def look(self):
            pass

    with pytest.raises(ConfigurationError, match=r"Buyer: Visit: arrival_rate is the wait_time of"):
        load(Buyer, users=1, seconds=1)
    with pytest.raises(ConfigurationError, match=r"Plain: wait_time: .*HttpUser, ProtocolUser"):
        load(Plain, users=1, seconds=1)


def test_real_calls_have_both_times():
    from protouser_socket import TcpUser

    with ScriptedServer("echo") as server:

        class Echo(TcpUser):
            host = server.url
            wait_time = arrival_rate(("100/s", "500ms"))

            @task
            def echo(self):
                assert self.client.request(b"hello") == b"hello"

        results = load(Echo, users=4, seconds=LONG)
    started = entry(results, "Echo")["started"]
    assert started >= 50  # and those that came while some users still connected
    assert series(results, "response", type_="tcp", row="request").count == started
    # what a user does before its first slot is in no schedule
    assert ("tcp", "connect", "response", "success") not in results.figures.timed
