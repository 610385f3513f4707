"""What a measured call means: one test for each row of the outcome table."""

from locust import SequentialTaskSet, TaskSet, task
from locust.env import Environment
from locust.exception import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)

import asyncio
import logging
import math

import gevent
import gevent.event
import pytest
from gevent.monkey import get_original
from gevent.pool import Pool

from protouser import (
    CallSkipped,
    CallTimeout,
    ProtocolClient,
    ProtocolUser,
    ProtouserError,
    after_call,
    before_call,
    equals,
    raises,
    timed,
)
from protouser.testing import load
from protouser.trace import Selection, Trace

KIND = "widget"
ROW = (KIND, "make")
LONG = 60  # seconds, for what ends by itself long before


def in_user(body):
    class InUser(ProtocolUser):
        protocol = KIND

        @task
        def act(self):
            body(self)

    return InUser


def in_taskset(body, base=TaskSet):
    class Tasks(base):
        @task
        def act(self):
            body(self.user)

    class InTaskSet(ProtocolUser):
        protocol = KIND
        tasks = [Tasks]

    return InTaskSet


def in_nested_taskset(body):
    class Outer(TaskSet):
        @task
        class Inner(TaskSet):
            @task
            def act(self):
                body(self.user)

    class InNestedTaskSet(ProtocolUser):
        protocol = KIND
        tasks = [Outer]

    return InNestedTaskSet


def in_sequential_taskset(body):
    return in_taskset(body, SequentialTaskSet)


@pytest.fixture(params=[in_user, in_taskset, in_nested_taskset, in_sequential_taskset])
def shape(request):
    return request.param


def once(body):
    """The body once; then the user waits for the end of the test."""
    done = set()

    def act(user):
        if user in done:
            gevent.sleep(60)
        done.add(user)
        body(user)

    return act


def run(shape, body, users=1, seconds=0.3, **options):
    return load(shape(once(body)), users=users, seconds=seconds, **options)


def counts(results, row=ROW):
    found = results[row]
    return (found.successes, found.failures, found.cancelled, found.one_way, found.skipped)


def test_a_call_that_returns_is_a_success(shape):
    def body(user):
        with user.measure("make") as call:
            call.response = b"good"

    results = run(shape, body)
    assert counts(results) == (1, 0, 0, 0, 0)
    (report,) = results.reports
    assert (report.request_type, report.name, report.response_length) == (KIND, "make", 4)
    assert report.exception is None
    assert report.response_time > 0


def test_a_check_that_is_false_fails_the_call_and_raises_nothing(shape):
    after = []

    def body(user):
        with user.measure("make", check=lambda response: response == "good") as call:
            call.response = "bad"
        after.append("went on")

    results = run(shape, body)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert after == ["went on"]
    assert str(results.reports[0].exception) == "check failed: got 'bad'"
    assert not results.errors


def test_a_check_that_raises_fails_the_call_with_its_text(shape):
    def check(response):
        assert response == "good", "not a good widget"

    def body(user):
        with user.measure("make", check=check) as call:
            call.response = "bad"

    results = run(shape, body)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert str(results.reports[0].exception).startswith("not a good widget")


def test_a_verdict_of_failure_carries_its_reason(shape):
    def body(user):
        with user.measure("make") as call:
            call.failure("bad widget")

    results = run(shape, body)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert str(results.reports[0].exception) == "bad widget"


def test_a_verdict_of_success_beats_the_check(shape):
    def body(user):
        with user.measure("make", check=lambda _: False) as call:
            call.success()

    assert counts(run(shape, body)) == (1, 0, 0, 0, 0)


def test_an_exception_fails_the_call_ends_the_task_and_is_counted_once(shape):
    after = []

    def body(user):
        with user.measure("make"):
            raise ValueError("no widget")
        after.append("unreachable")

    results = run(shape, body)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert repr(results.reports[0].exception) == "ValueError('no widget')"
    assert after == []
    assert results.errors == []


def test_an_exception_that_no_call_reported_is_an_error_as_ever(shape):
    def body(user):
        try:
            with user.measure("make"):
                raise ValueError("reported")
        except ValueError as error:
            raise KeyError("not reported") from error

    results = run(shape, body)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert [repr(error) for error in results.errors] == ["KeyError('not reported')"]


def test_a_reported_exception_is_raised_when_the_environment_catches_none():
    class User(ProtocolUser):
        protocol = KIND

        @task
        def act(self):
            with self.measure("make"):
                raise ValueError("no widget")

    user = User(Environment(catch_exceptions=False))
    with pytest.raises(ValueError, match="no widget"):
        user.run()


def test_a_gevent_timeout_fails_the_call_and_the_user_survives(shape):
    survived = []

    def body(user):
        with gevent.Timeout(0.05), user.measure("make"):
            gevent.sleep(60)

    class_ = shape(once(body))
    class_.on_stop = lambda self: survived.append(self)
    results = load(class_, users=1, seconds=0.5)
    assert counts(results) == (0, 1, 0, 0, 0)
    reason = results.reports[0].exception
    assert isinstance(reason, CallTimeout)
    assert str(reason) == "timed out after 0.05 s"
    assert results.errors == []
    assert len(survived) == 1


def test_a_gevent_timeout_outside_a_call_is_an_error_and_the_user_survives(shape):
    rounds = []

    def body(user):
        rounds.append(user)
        if len(rounds) == 1:
            with gevent.Timeout(0.02):
                gevent.sleep(60)
        gevent.sleep(60)

    results = load(shape(body), users=1, seconds=LONG, until=lambda: len(rounds) == 2)
    assert len(rounds) == 2
    assert [type(error) for error in results.errors] == [CallTimeout]


def test_a_gevent_timeout_that_strikes_between_tasks_is_survived():
    rounds = []

    class User(ProtocolUser):
        def wait_time(self):
            return 0.1

        @task
        def act(self):
            rounds.append(self)
            if len(rounds) == 1:
                gevent.Timeout(0.02).start()

    results = load(User, users=1, seconds=LONG, until=lambda: len(rounds) > 1)
    assert len(rounds) > 1
    assert len(results.errors) == 1


def test_a_call_cut_short_by_the_end_of_the_test_is_cancelled(shape):
    def body(user):
        with user.measure("make"):
            gevent.sleep(60)

    results = run(shape, body, users=3)
    assert counts(results) == (0, 0, 3, 0, 0)
    assert results.reports == []


@pytest.mark.parametrize(
    "steering",
    [StopUser, StopTest, RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet],
)
def test_exceptions_that_steer_locust_are_no_results(steering):
    seen = []

    class User(ProtocolUser):
        protocol = KIND

        @task
        def act(self):
            try:
                with self.measure("make"):
                    raise steering
            except steering as error:
                seen.append(error)
            raise StopUser

    results = load(User, users=1, seconds=LONG)
    assert len(seen) == 1
    assert counts(results) == (0, 0, 0, 0, 0)


def test_stop_user_inside_a_call_stops_the_user(shape):
    def body(user):
        with user.measure("make"):
            raise StopUser

    results = run(shape, body, seconds=LONG)
    assert results.seconds < LONG - 5
    assert len(results) == 0


def test_a_one_way_call_is_counted_and_has_no_time(shape):
    def body(user):
        with user.measure("make", one_way=True):
            pass

    results = run(shape, body)
    assert counts(results) == (0, 0, 0, 1, 0)
    assert results.reports[0].response_time is None
    assert math.isnan(results[ROW].percentile(0.5))


def test_a_one_way_call_can_fail(shape):
    def body(user):
        with user.measure("make", one_way=True):
            raise OSError("no route")

    results = run(shape, body)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert results.reports[0].response_time is None


def test_a_vetoed_call_ends_the_task_quietly_and_is_counted_apart(shape):
    reached = []

    def body(user):
        with user.measure("make"):
            reached.append("block")
        reached.append("after")

    def veto(self, call):
        call.skip("not today")

    class_ = shape(once(body))
    vetoing = type("Vetoing", (class_,), {"veto": before_call("ma*")(veto)})
    results = load(vetoing, users=1, seconds=0.3)
    assert counts(results) == (0, 0, 0, 0, 1)
    assert reached == []
    assert results.reports == []
    assert results.errors == []


def test_a_vetoed_timed_call_returns_none():
    got = []

    class User(ProtocolUser):
        protocol = KIND

        def on_start(self):
            got.append(self.timed(lambda: 1 / 0, names="make")())

        @before_call
        def veto(self, call):
            call.skip()

        @task
        def act(self):
            raise StopUser

    assert counts(load(User, users=1, seconds=LONG)) == (0, 0, 0, 0, 1)
    assert got == [None]


def test_a_call_that_was_begun_and_never_ended_is_cancelled(shape):
    assert counts(run(shape, lambda user: user.begin("make"))) == (0, 0, 1, 0, 0)


def test_a_call_that_was_begun_may_end_in_on_stop():
    class User(ProtocolUser):
        protocol = KIND

        def on_start(self):
            self.session_call = self.begin("make")

        def on_stop(self):
            self.session_call.end()

        @task
        def act(self):
            gevent.sleep(60)

    assert counts(load(User, users=1, seconds=0.2)) == (1, 0, 0, 0, 0)


def test_a_call_ends_once_however_often_it_is_ended(shape):
    def body(user):
        call = user.begin("make")
        call.end()
        call.end(ValueError("too late"))
        call.cancel()

    assert counts(run(shape, body)) == (1, 0, 0, 0, 0)


def test_a_call_may_end_in_a_native_thread(shape):
    start_native = get_original("_thread", "start_new_thread")

    heard = []

    def body(user):
        user.environment.events.request.add_listener(lambda **_: heard.append(1))
        call = user.begin("make")
        start_native(lambda: call.end(), ())

    results = run(shape, body, seconds=LONG, until=lambda: heard)
    assert counts(results) == (1, 0, 0, 0, 0)
    assert len(results.reports) == 1


def test_a_call_in_an_async_task_cut_short_by_the_end_is_cancelled():
    begun = []

    class User(ProtocolUser):
        protocol = KIND

        @task
        async def act(self):
            with self.measure("make"):
                begun.append(self)
                await asyncio.sleep(600)

    results = load(User, users=2, seconds=LONG, until=lambda: len(begun) == 2)
    assert counts(results) == (0, 0, 2, 0, 0)


def test_a_deadline_of_asyncio_is_a_failure():
    class User(ProtocolUser):
        protocol = KIND

        @task
        async def act(self):
            try:
                async with asyncio.timeout(0.02):
                    with self.measure("make"):
                        await asyncio.sleep(60)
            except TimeoutError:
                pass
            raise StopUser

    results = load(User, users=1, seconds=LONG)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert isinstance(results.reports[0].exception, CallTimeout)


def test_an_async_coroutine_cut_short_through_timed_is_cancelled(shape):
    begun = []

    async def make():
        begun.append(1)
        await asyncio.sleep(600)

    def body(user):
        user.timed(make)()

    results = run(shape, body, seconds=LONG, until=lambda: begun)
    assert counts(results) == (0, 0, 1, 0, 0)


def test_a_call_killed_in_a_native_thread_is_cancelled_and_the_thread_counted(shape):
    release, begun = get_original("threading", "Event")(), []

    def make():
        begun.append(1)
        release.wait(2 * LONG)

    def body(user):
        user.timed(make, run="thread")()

    try:
        results = run(shape, body, seconds=LONG, until=lambda: begun)
    finally:
        release.set()
    assert counts(results) == (0, 0, 1, 0, 0)
    assert results.counter("abandoned threads") == 1


def test_a_stream_that_is_read_to_its_end_is_one_success(shape):
    def make():
        yield b"ab"
        yield b"cde"

    def body(user):
        assert list(user.timed(make, check=lambda items: items == 2)()) == [b"ab", b"cde"]

    results = run(shape, body)
    assert counts(results) == (1, 0, 0, 0, 0)
    assert results[ROW].series() == {"service": 1, "first item": 1}
    assert results[ROW].counter("items") == 2
    assert results.reports[0].response_length == 5


def test_a_stream_that_the_task_leaves_is_a_success_marked_as_left(shape):
    def make():
        yield from range(10)

    def body(user):
        for item in user.timed(make)():
            if item == 2:
                break

    results = run(shape, body)
    assert counts(results) == (1, 0, 0, 0, 0)
    assert results[ROW].counter("items") == 3
    assert results[ROW].counter("left") == 1


def test_a_stream_left_just_before_the_user_stops_by_itself_is_a_success(shape):
    def body(user):
        for _item in user.timed(iter, names="make")([1, 2]):
            break
        raise StopUser

    results = run(shape, body)
    assert counts(results) == (1, 0, 0, 0, 0)


def test_a_stream_cut_short_by_the_end_is_cancelled_even_between_items(shape):
    def make():
        yield from range(10)

    def body(user):
        for _item in user.timed(make)():
            gevent.sleep(60)

    results = run(shape, body)
    assert counts(results) == (0, 0, 1, 0, 0)


def test_a_stream_that_breaks_is_a_failure(shape):
    def make():
        yield 1
        raise ConnectionResetError("gone")

    def body(user):
        for _item in user.timed(make)():
            pass

    results = run(shape, body)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert results.errors == []


def test_a_verdict_stands_whatever_is_raised_after_it(shape):
    def body(user):
        with user.measure("make") as call:
            call.success()
            raise ValueError("after the verdict")

    results = run(shape, body)
    assert counts(results) == (1, 0, 0, 0, 0)
    assert [repr(error) for error in results.errors] == ["ValueError('after the verdict')"]


def test_a_verdict_of_failure_stands_whatever_is_raised_after_it(shape):
    def body(user):
        with user.measure("make") as call:
            call.failure("bad widget")
            raise ValueError("after the verdict")

    results = run(shape, body)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert str(results.reports[0].exception) == "bad widget"


def test_a_connect_that_fails_is_a_row_and_ends_only_its_user():
    class User(ProtocolUser):
        protocol = KIND
        made = 0

        def connect(self):
            User.made += 1
            if User.made == 3:
                raise OSError("refused")

        @task
        def act(self):
            with self.measure("make"):
                gevent.sleep(0.01)
            made.append(self)

    made = []
    results = load(User, users=10, seconds=LONG, until=lambda: len(made) > 9)
    assert counts(results, (KIND, "connect")) == (0, 1, 0, 0, 0)
    assert User.made == 10
    assert results[ROW].successes > 9
    assert results.errors == []


def test_a_connect_is_tried_as_often_as_configured_and_every_attempt_counts():
    class User(ProtocolUser):
        protocol = KIND
        connect_attempts = 3
        connect_backoff = 0.01
        made = 0

        def connect(self):
            User.made += 1
            if User.made < 3:
                raise OSError("refused")

        @task
        def act(self):
            with self.measure("make"):
                pass
            raise StopUser

    results = load(User, users=1, seconds=LONG)
    assert counts(results, (KIND, "connect")) == (0, 2, 0, 0, 0)
    assert counts(results) == (1, 0, 0, 0, 0)


def test_a_user_waiting_for_its_next_attempt_stops_at_once():
    class User(ProtocolUser):
        protocol = KIND
        connect_attempts = 2
        connect_backoff = 600.0

        def connect(self):
            raise OSError("refused")

        @task
        def act(self): ...

    results = load(User, users=1, seconds=0.2, stop_timeout=LONG)
    assert results.seconds < 12  # it would have waited for 15 or more
    assert counts(results, (KIND, "connect")) == (0, 1, 0, 0, 0)


def test_a_hook_that_raises_is_logged_once_and_the_call_keeps_its_outcome(shape, caplog):
    def body(user):
        for _ in range(3):
            with user.measure("make"):
                pass

    def broken_before(self, call):
        raise RuntimeError("broken before")

    def broken_after(self, call):
        raise RuntimeError("broken after")

    hooks = {"one": before_call(broken_before), "two": after_call("make")(broken_after)}
    broken = type("Broken", (shape(once(body)),), hooks)
    with caplog.at_level(logging.ERROR):
        results = load(broken, users=1, seconds=0.3)
    assert counts(results) == (3, 0, 0, 0, 0)
    assert results[ROW].counter("hook errors") == 6
    complaints = [record.message for record in caplog.records if "hook" in record.message]
    assert len(complaints) == 2
    assert "broken_before" in complaints[0]
    assert "broken_after" in complaints[1]


def test_an_after_hook_decides_before_the_result_is_reported():
    class User(ProtocolUser):
        protocol = KIND

        @after_call
        def verify(self, call):
            if call.response < 0:
                call.failure("negative stock")

        @task
        def act(self):
            with self.measure("make") as call:
                call.response = -1
            raise StopUser

    results = load(User, users=1, seconds=LONG)
    assert counts(results) == (0, 1, 0, 0, 0)


def test_a_before_hook_may_rename_a_call_and_its_time_is_outside():
    class User(ProtocolUser):
        protocol = KIND

        @before_call("make")
        def rename(self, call):
            gevent.sleep(0.2)
            call.name = "make {id}"

        @task
        def act(self):
            with self.measure("make"):
                pass
            raise StopUser

    results = load(User, users=1, seconds=LONG)
    row = results[KIND, "make {id}"]
    assert row.successes == 1
    assert row.percentile(1.0) < 0.2


def test_raises_makes_an_expected_exception_a_success(shape):
    got = []

    def body(user):
        got.append(user.timed({}.__getitem__, names="make", check=raises(KeyError))("nothing"))

    results = run(shape, body)
    assert counts(results) == (1, 0, 0, 0, 0)
    assert isinstance(got[0], KeyError)


def test_raises_fails_a_call_that_returns_and_one_that_raises_another(shape):
    def body(user):
        check = raises(KeyError)
        user.timed(lambda: 1, names="make", check=check)()
        user.timed(lambda: 1 / 0, names="make", check=check)()

    results = run(shape, body)
    assert counts(results) == (0, 2, 0, 0, 0)
    texts = [str(report.exception) for report in results.reports]
    assert texts == ["expected KeyError, but the call returned", "division by zero"]


def test_the_context_of_user_and_call_are_merged(shape):
    def body(user):
        with user.measure("make", context={"call": 2}):
            pass

    with_context = type("C", (shape(once(body)),), {"context": lambda self: {"user": 1, "call": 1}})
    results = load(with_context, users=1, seconds=0.3)
    assert results.reports[0].context == {"user": 1, "call": 2}


def test_the_timed_decorator_measures_methods_of_users_and_tasksets():
    class Tasks(TaskSet):
        @timed(name="in taskset")
        def buy(self):
            return "ab"

        @task
        def act(self):
            self.buy()
            self.user.sell()
            raise StopUser

    class User(ProtocolUser):
        protocol = KIND
        tasks = [Tasks]

        @timed
        def sell(self):
            return "abc"

    results = load(User, users=1, seconds=LONG)
    lengths = {report.name: report.response_length for report in results.reports}
    assert lengths == {"in taskset": 2, "sell": 3}


def test_skipping_in_the_block_itself_counts_it_as_skipped(shape):
    def body(user):
        with user.measure("make") as call:
            call.skip("nothing to do")

    assert counts(run(shape, body)) == (0, 0, 0, 0, 1)


def test_call_skipped_is_a_protouser_error():
    assert issubclass(CallSkipped, Exception)


class Caught(ProtocolClient):
    protocol = KIND

    def make(self, error=None, **options):
        def work(call):
            if error is not None:
                raise error
            return "widget"

        return self.perform("make", work, **options)


def caught(body):
    return once(lambda user: body(Caught("widget://here", user=user)))


def test_a_caught_response_is_decided_in_the_block(shape):
    def body(client):
        with client.make(catch_response=True) as call:
            assert call.response == "widget"
            call.failure("wrong colour")

    results = load(shape(caught(body)), users=1, seconds=0.3)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert str(results.reports[0].exception) == "wrong colour"


def test_a_caught_error_may_be_what_was_wanted(shape):
    def body(client):
        with client.make(OSError("refused"), catch_response=True) as call:
            assert isinstance(call.error, OSError)
            call.success()

    results = load(shape(caught(body)), users=1, seconds=0.3)
    assert counts(results) == (1, 0, 0, 0, 0)
    assert results.errors == []


@pytest.mark.parametrize("stumbles", [False, True])
def test_a_caught_error_that_nobody_judged_is_the_failure(shape, stumbles):
    def body(client):
        with client.make(OSError("refused"), catch_response=True) as call:
            if stumbles:
                call.response.startswith("w")

    results = load(shape(caught(body)), users=1, seconds=0.3)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert repr(results.reports[0].exception) == "OSError('refused')"
    assert results.errors == []


def test_a_caught_response_that_nobody_looked_at_is_cancelled(shape):
    def body(client):
        client.make(catch_response=True)

    assert counts(load(shape(caught(body)), users=1, seconds=0.3)) == (0, 0, 1, 0, 0)


# What checks, hooks and lengths may do to a call: never lose it


@pytest.mark.parametrize("ending", ["kill", "deadline"])
def test_a_call_whose_check_is_cut_short_is_not_lost(shape, ending):
    def body(user):
        limit = gevent.Timeout(None if ending == "kill" else 0.05)
        with limit, user.measure("make", check=lambda _: gevent.sleep(60)):
            pass

    found = counts(run(shape, body))
    assert found == ((0, 0, 1, 0, 0) if ending == "kill" else (0, 1, 0, 0, 0))


def test_a_check_may_steer_locust(shape):
    def stop(_response):
        raise StopUser

    def body(user):
        with user.measure("make", check=stop):
            pass

    results = run(shape, body, seconds=LONG)
    assert results.seconds < LONG - 5
    assert counts(results) == (0, 0, 0, 0, 0)


def test_a_length_that_raises_does_not_lose_the_call(shape, caplog):
    def body(user):
        make = user.timed(lambda: None, names="make", length=lambda widget: len(widget.parts))
        make()
        make()

    results = run(shape, body)
    assert counts(results) == (2, 0, 0, 0, 0)
    assert [report.response_length for report in results.reports] == [0, 0]
    assert caplog.text.count("the length= of 'make' raised AttributeError") == 1


def test_a_context_that_raises_does_not_lose_the_call(shape, caplog):
    def body(user):
        with user.measure("make"):
            pass

    broken = type("Broken", (shape(once(body)),), {"context": lambda self: 1 / 0})
    results = load(broken, users=1, seconds=0.3)
    assert counts(results) == (1, 0, 0, 0, 0)
    assert len(results.reports) == 1
    assert "Broken.context raised ZeroDivisionError" in caplog.text


def test_a_bug_after_a_verdict_is_an_error_in_async_tasks_too():
    class User(ProtocolUser):
        protocol = KIND

        @task
        async def act(self):
            with self.measure("make") as call:
                call.success()
                raise ValueError("a bug")

        def wait_time(self):
            return 600

        def on_start(self):
            self.environment.events.user_error.add_listener(lambda **_: heard.append(1))

    heard = []
    results = load(User, users=1, seconds=LONG, until=lambda: heard)
    assert counts(results) == (1, 0, 0, 0, 0)
    assert [repr(error) for error in results.errors] == ["ValueError('a bug')"]


def test_a_call_is_measured_once(shape):
    def body(user):
        call = user.measure("make")
        with call:
            pass
        with pytest.raises(ProtouserError, match="the call 'make' is over"):
            call.__enter__()
        with pytest.raises(ProtouserError, match="the call 'never' was never begun"):
            user.measure("never").end()

    assert counts(run(shape, body)) == (1, 0, 0, 0, 0)


def test_an_after_hook_may_count_a_call_as_skipped(shape):
    def body(user):
        with user.measure("make"):
            pass

    def forget(self, call):
        call.skip("warming up")

    forgetting = type("Forgetting", (shape(once(body)),), {"forget": after_call(forget)})
    results = load(forgetting, users=1, seconds=0.3)
    assert counts(results) == (0, 0, 0, 0, 1)
    assert results.reports == []


def test_raises_works_for_calls_that_end_elsewhere_and_for_caught_ones(shape):
    def body(user):
        user.begin("make", check=raises(KeyError)).end(KeyError("gone"))
        client = Caught("widget://here", user=user)
        with client.make(KeyError("gone"), check=raises(KeyError), catch_response=True):
            pass

    assert counts(run(shape, body)) == (2, 0, 0, 0, 0)


def test_raises_does_not_catch_what_steers_locust(shape):
    def body(user):
        with user.measure("make", check=raises()):
            raise StopUser

    results = run(shape, body, seconds=LONG)
    assert results.seconds < LONG - 5
    assert counts(results) == (0, 0, 0, 0, 0)


def test_an_exception_that_is_false_is_a_failure_for_locust_too(shape):
    class Empty(Exception):
        def __len__(self):
            return 0

    def body(user):
        with user.measure("make"):
            raise Empty

    results = run(shape, body)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert results.reports[0].exception


def test_values_from_async_tasks_and_plain_ones_add_up():
    class Plain(ProtocolUser):
        @task
        def act(self):
            for _ in range(20_000):
                self.count("made")
            raise StopUser

    class Async(ProtocolUser):
        @task
        async def act(self):
            for _ in range(20_000):
                self.count("made")
                self.trend("size").add(1.0)
            raise StopUser

    results = load(Plain, Async, users=2, seconds=LONG)
    assert results.counter("made") == 40_000
    assert results.figures.trends["size"].count == 20_000


def breaks_when(*methods):
    """An exception of a library whose own text is broken."""

    def broken(self, *_):
        raise RuntimeError("broken")

    return type("Broken", (Exception,), dict.fromkeys(methods, broken))()


@pytest.mark.parametrize("methods", [("__str__",), ("__str__", "__repr__")])
@pytest.mark.parametrize("traced", [False, True])
def test_an_exception_that_cannot_be_shown_is_a_failure_all_the_same(methods, traced, caplog):
    error, events = breaks_when(*methods), []

    def body(user):
        user._session.trace_with(
            Trace(Selection.parse("all"), events.append, 9) if traced else None
        )
        with user.measure("make") as call:
            call.failure(error)
        with user.measure("make"):
            raise error

    results = run(in_user, body)
    assert counts(results) == (0, 2, 0, 0, 0)
    assert len(results.reports) == 2
    assert len(events) == (2 if traced else 0)
    assert results.errors == []
    assert "Uncaught exception in event handler" not in caplog.text


def test_a_result_that_cannot_be_shown_fails_its_check_and_no_more(shape):
    broken = breaks_when("__repr__", "__str__")

    def body(user):
        for check in (lambda _: False, equals("good"), lambda widget: str(widget) == "good"):
            with user.measure("make", check=check) as call:
                call.response = broken

    results = run(shape, body)
    assert counts(results) == (0, 3, 0, 0, 0)
    assert results.errors == []


def test_a_trace_that_cannot_be_written_does_not_lose_the_call(shape, caplog):
    def full(_record):
        raise OSError("no space left")

    def body(user):
        user._session.trace_with(Trace(Selection.parse("all"), full, 9))
        for _ in range(2):
            with user.measure("make"):
                pass

    results = run(shape, body)
    assert counts(results) == (2, 0, 0, 0, 0)
    assert len(results.reports) == 2
    assert caplog.text.count("the trace of a call raised OSError('no space left')") == 1


# What is no Exception


class Failed(BaseException):
    """As pytest.fail raises it."""


def test_what_a_test_library_fails_by_is_a_failure_though_it_is_no_exception(shape):
    def body(user):
        with user.measure("make"):
            raise Failed("widget is broken")

    results = run(shape, body)
    assert counts(results) == (0, 1, 0, 0, 0)
    assert str(results.reports[0].exception) == "widget is broken"
    assert results.errors == []


@pytest.mark.parametrize("raised", [Failed, asyncio.CancelledError])
def test_what_is_no_exception_ends_a_task_and_not_its_user(shape, raised):
    tries = []

    def body(user):
        tries.append(user)
        if len(tries) == 1:
            raise raised("why")
        with user.measure("make"):
            gevent.sleep(60)

    user_class = type("Going", (shape(body),), {"wait_time": lambda self: 0})
    results = load(user_class, users=1, seconds=LONG, until=lambda: len(tries) == 2)
    assert len(tries) == 2
    assert counts(results) == (0, 0, 1, 0, 0)
    assert [str(error) for error in results.errors] == [f"a {raised.__name__} ended the task: why"]


def test_what_is_no_exception_in_on_start_ends_its_user_and_closes_it(caplog):
    closed = []

    class Starting(ProtocolUser):
        def on_start(self):
            self.resources.callback(closed.append, self)
            raise asyncio.CancelledError

        @task
        def never(self):
            pass

    results = load(Starting, users=1, seconds=LONG)
    assert results.seconds < LONG - 5
    assert len(closed) == 1
    assert [type(error) for error in results.errors] == [asyncio.CancelledError]


# What does not end with its user


def test_a_call_in_a_greenlet_of_its_own_that_still_runs_at_the_end_is_cancelled(shape):
    begun, release, ended = [], gevent.event.Event(), []

    def make(user):
        with user.measure("make"):
            begun.append(user)
            release.wait()
        ended.append(user)

    def body(user):
        pool = Pool()
        for _ in range(2):
            pool.spawn(make, user)
        gevent.spawn(make, user)
        user.measure("never begun")
        pool.join()

    results = run(shape, body, seconds=LONG, until=lambda: len(begun) == 3)
    release.set()
    with gevent.Timeout(LONG):
        while len(ended) < 3:
            gevent.sleep(0.01)
    assert counts(results) == (0, 0, 3, 0, 0)
    assert results.reports == []
