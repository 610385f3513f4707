"""The life of a user: order, ways out, what is closed, and Locust's own defects done right."""

from locust import HttpUser, SequentialTaskSet, TaskSet, constant, events, run_single_user, task
from locust.env import Environment
from locust.exception import StopUser

import asyncio
import logging
import sys
import threading
import time

import gevent
import pytest

from protouser import (
    CallTimeout,
    ConfigurationError,
    ConnectFailed,
    ProtocolClient,
    ProtocolUser,
    attach,
    before_call,
    timed,
)
from protouser.testing import capture, load

from .ports import free_port

KIND = "widget"
LONG = 60  # seconds, for what ends by itself long before


class Recorded(ProtocolClient):
    """A client that notes what happens to it."""

    protocol = "recorded"
    option_names = frozenset({"colour"})
    log: list = []

    def connect(self):
        if self.url.host == "refused":
            raise OSError("refused")
        self.log.append("connect")
        self.resources.callback(self.log.append, "close")

    def work(self):
        with self.measure("work"):
            self.log.append("work")


class RecordedUser(ProtocolUser):
    abstract = True
    client_class = Recorded
    host = "recorded://here"


@pytest.fixture(autouse=True)
def log():
    Recorded.log = []
    return Recorded.log


def test_a_life_runs_in_order_without_super(log):
    class User(RecordedUser):
        def prepare(self):
            log.append("prepare")

        def on_start(self):
            log.append("on_start")

        def on_stop(self):
            log.append("on_stop")

        @task
        def act(self):
            self.client.work()
            raise StopUser

    load(User, users=1, seconds=LONG)
    assert log == ["prepare", "connect", "on_start", "work", "on_stop", "close"]


def test_mix_ins_and_tasksets_cannot_break_it(log):
    class Noisy:
        def on_start(self):
            log.append("mix-in")

    class Tasks(SequentialTaskSet):
        def on_start(self):
            log.append("taskset start")

        def on_stop(self):
            log.append("taskset stop")

        @task
        def act(self):
            self.client.work()
            raise StopUser

    class User(Noisy, RecordedUser):
        tasks = [Tasks]

    load(User, users=1, seconds=LONG)
    assert log == ["connect", "mix-in", "taskset start", "work", "taskset stop", "close"]


def test_on_stop_runs_only_if_on_start_began(log):
    class User(RecordedUser):
        host = "recorded://refused"

        def on_start(self):
            log.append("on_start")

        def on_stop(self):
            log.append("on_stop")

        @task
        def act(self): ...

    results = load(User, users=1, seconds=LONG)
    assert log == []
    assert results["recorded", "connect"].failures == 1
    assert results.seconds < LONG - 5


def test_an_on_start_that_fails_leaves_nothing_open_and_is_an_error_once(log):
    class User(RecordedUser):
        def on_start(self):
            raise ValueError("not ready")

        def on_stop(self):
            log.append("on_stop")

        @task
        def act(self):
            log.append("task")

    results = load(User, users=2, seconds=LONG)
    assert sorted(log) == sorted(["connect", "on_stop", "close"] * 2)
    assert [repr(error) for error in results.errors] == ["ValueError('not ready')"] * 2
    assert results.seconds < LONG - 5


def test_a_failed_call_in_on_start_ends_the_user_and_is_not_reported_twice(log):
    class User(RecordedUser):
        def on_start(self):
            with self.measure("login"):
                raise PermissionError("denied")

        @task
        def act(self):
            log.append("task")

    results = load(User, users=1, seconds=LONG)
    assert results["User", "login"].failures == 1
    assert results.errors == []
    assert log == ["connect", "close"]


def test_an_on_stop_that_fails_is_logged_and_closing_goes_on(log, caplog):
    class User(RecordedUser):
        def on_stop(self):
            raise ValueError("cannot say goodbye")

        @task
        def act(self):
            raise StopUser

    load(User, users=1, seconds=LONG)
    assert log == ["connect", "close"]
    assert "User.on_stop failed" in caplog.text
    assert "cannot say goodbye" in caplog.text


def test_stop_user_in_on_start_is_silent(log, caplog):
    class User(RecordedUser):
        def on_start(self):
            raise StopUser

        @task
        def act(self): ...

    load(User, users=1, seconds=LONG)
    assert log == ["connect", "close"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_closing_is_limited_in_time_and_what_hangs_is_named(caplog, log):
    class User(RecordedUser):
        close_timeout = 0.1

        def on_start(self):
            self.resources.callback(log.append, "closed all the same")
            self.resources.callback(gevent.sleep, 600)

        @task
        def act(self):
            raise StopUser

    results = load(User, users=1, seconds=LONG)
    assert results.seconds < LONG - 5
    assert "closed all the same" in log
    assert "User: closing took longer than 0.1 s" in caplog.text


def test_what_an_attempt_opened_is_closed_before_the_next_one(log):
    class User(RecordedUser):
        connect_attempts = 2
        connect_backoff = 0.01
        attempts = 0

        def connect(self):
            self.client = self.open("recorded://here")
            User.attempts += 1
            if User.attempts == 1:
                self.open("recorded://refused")

        @task
        def act(self):
            raise StopUser

    results = load(User, users=1, seconds=LONG)
    assert log == ["connect", "close", "connect", "close"]
    row = results["recorded", "connect"]
    assert (row.successes, row.failures) == (2, 1)


def test_options_of_the_class_reach_its_client():
    class User(RecordedUser):
        colour = "red"
        timeout = 7

        @task
        def act(self):
            seen.append((self.client.options["colour"], self.client.timeout))
            raise StopUser

    seen = []
    load(User, users=1, seconds=LONG)
    assert seen == [("red", 7)]


def test_an_unknown_option_suggests_the_nearest():
    with pytest.raises(ConfigurationError, match="no option 'color'; did you mean 'colour'"):
        Recorded("recorded://here", color="red")


def test_spawned_greenlets_end_with_their_user_and_their_errors_are_counted():
    alive = []

    class User(ProtocolUser):
        protocol = KIND

        def on_start(self):
            alive.append(self.spawn(gevent.sleep, 60))
            self.spawn(self.measured_forever)
            self.spawn(lambda: 1 / 0)

        def measured_forever(self):
            with self.measure("push"):
                gevent.sleep(60)

        @task
        def act(self):
            gevent.sleep(60)

    results = load(User, users=1, seconds=0.3)
    assert alive[0].dead
    assert results[KIND, "push"].cancelled == 1
    assert [type(error) for error in results.errors] == [ZeroDivisionError]


def test_a_deadline_that_ends_a_spawned_greenlet_is_counted():
    class User(ProtocolUser):
        def on_start(self):
            self.spawn(self.hurry)

        def hurry(self):
            with gevent.Timeout(0.05):
                gevent.sleep(60)

        @task
        def act(self):
            gevent.sleep(60)

    results = load(User, users=1, seconds=0.3)
    assert [type(error) for error in results.errors] == [CallTimeout]
    assert "ended a spawned greenlet" in str(results.errors[0])


def test_a_spawned_greenlet_that_a_test_library_fails_is_counted():
    class Failed(BaseException):
        """As pytest.fail raises it."""

    class User(ProtocolUser):
        def on_start(self):
            self.spawn(self.fail)

        def fail(self):
            raise Failed("no good")

        @task
        def act(self):
            gevent.sleep(60)

    results = load(User, users=1, seconds=0.3)
    assert [str(error) for error in results.errors] == ["no good"]


def test_a_spawned_greenlet_may_stop_its_user():
    tasks = []

    class User(ProtocolUser):
        def on_start(self):
            self.spawn(self.stop_soon)

        def stop_soon(self):
            gevent.sleep(0.05)
            raise StopUser

        @task
        def act(self):
            tasks.append(gevent.sleep(0.01))

    results = load(User, users=1, seconds=LONG)
    assert 0 < len(tasks) < 100
    assert not results.errors


def test_a_client_that_is_closed_while_it_connects_leaves_nothing_open(log):
    class Slow(Recorded):
        def connect(self):
            gevent.sleep(0.05)
            super().connect()

    client = Slow("recorded://here")
    opening = gevent.spawn(client.open)
    gevent.sleep(0)
    client.close()
    opening.join()
    assert "was closed while it connected" in str(opening.exception)
    assert log == ["connect", "close"]


def test_counters_and_trends_of_the_tester_are_in_the_results():
    class User(ProtocolUser):
        @task
        def act(self):
            self.count("orders", 3)
            self.trend("stock").add(12.5)
            with pytest.raises(ValueError, match="'stock' takes finite values from 0 up"):
                self.trend("stock").add(-1)
            raise StopUser

    results = load(User, users=2, seconds=LONG)
    assert results.counter("orders") == 6
    assert results.figures.trends["stock"].count == 2


# Locust's own behaviour, done right: R1-R4, R9-R11, R28 of the list of defects


def test_ten_users_in_a_long_operation_are_ten_cancelled_calls_and_no_success():
    class User(ProtocolUser):
        protocol = KIND

        @task
        def act(self):
            with self.measure("long"):
                gevent.sleep(30)

    results = load(User, users=20, seconds=1)
    row = results[KIND, "long"]
    assert (row.successes, row.failures, row.cancelled) == (0, 0, 20)
    assert results.reports == []


def test_a_failed_call_ends_the_task_instead_of_going_on():
    went_on = []

    class User(ProtocolUser):
        protocol = KIND
        wait_time = constant(0.05)

        @task
        def act(self):
            with self.measure("make"):
                raise ValueError("no widget")
            went_on.append(self)

    results = load(User, users=1, seconds=0.3)
    assert results[KIND, "make"].failures > 1
    assert went_on == []


def test_calls_go_to_the_events_of_their_environment_and_not_to_the_global_ones():
    seen = []

    class User(ProtocolUser):
        @task
        def act(self):
            with self.measure("make"):
                pass
            raise StopUser

    listener = events.request.add_listener(lambda **event: seen.append(event))
    try:
        results = load(User, users=1, seconds=LONG)
    finally:
        events.request.remove_listener(listener)
    assert len(results.reports) == 1
    assert seen == []


def test_two_environments_in_one_process_keep_apart():
    class User(ProtocolUser):
        @task
        def act(self): ...

    first, second = Environment(), Environment()
    with User(first).measure("make"):
        pass
    assert attach(first).results().rows() == [("User", "make")]
    assert attach(second).results().rows() == []
    assert attach(first) is attach(first)


def test_the_same_user_runs_alone_for_a_debugger(monkeypatch, log):
    monkeypatch.setattr(sys, "argv", ["locustfile.py"])
    monkeypatch.setattr("locust.debug._env", None)
    fds = threading.active_count()

    class User(RecordedUser):
        @task
        def act(self):
            self.client.work()
            raise StopUser

    run_single_user(User, loglevel=None)
    assert log == ["connect", "work", "close"]
    assert threading.active_count() == fds


def test_under_run_single_user_every_failure_is_logged(monkeypatch, caplog):
    monkeypatch.setattr(sys, "argv", ["locustfile.py"])
    monkeypatch.setattr("locust.debug._env", None)

    class User(ProtocolUser):
        rounds = 0

        @task
        def act(self):
            User.rounds += 1
            if User.rounds > 3:
                raise StopUser
            with self.measure("make"):
                raise ValueError("no widget")

    run_single_user(User, loglevel=None)
    assert len([r for r in caplog.records if "make failed: no widget" in r.message]) == 3


def test_in_a_load_only_the_first_failure_of_a_place_is_logged_with_its_traceback(caplog):
    class User(ProtocolUser):
        wait_time = constant(0.02)

        @task
        def act(self):
            with self.measure("make"):
                raise ValueError("no widget")

    results = load(User, users=2, seconds=0.3)
    assert results["User", "make"].failures > 3
    (record,) = [r for r in caplog.records if "make failed: no widget" in r.message]
    assert "test_life.py" in record.message


# Hosts


def test_host_reaches_only_the_classes_whose_scheme_it_is(log):
    class Here(RecordedUser):
        @task
        def act(self):
            log.append(str(self.client.url))
            raise StopUser

    class Web(HttpUser):
        host = "http://nowhere.invalid"

        @task
        def act(self):
            raise StopUser

    load(Here, Web, users=2, seconds=LONG, host="http://127.0.0.1:1")
    assert "recorded://here" in log


def test_a_host_for_nobody_is_an_error_before_the_load(log):
    class Here(RecordedUser):
        @task
        def act(self): ...

    with pytest.raises(ConfigurationError, match="is for none of the user classes"):
        load(Here, users=1, seconds=LONG, host="http://127.0.0.1:1")
    assert log == []


def test_a_host_without_a_scheme_is_taken_where_the_class_says_it(log):
    class Here(RecordedUser):
        @task
        def act(self):
            log.append(str(self.client.url))
            raise StopUser

    load(Here, users=1, seconds=LONG, host="there:7000")
    assert "recorded://there:7000" in log


@pytest.mark.parametrize("host", ["tcp://host:99999", "tcpp://host:1", "host:1"])
def test_a_host_that_no_run_can_reach_is_an_error_before_the_load(host):
    class User(ProtocolUser):
        @task
        def act(self): ...

    User.host = host
    with pytest.raises(ConfigurationError):
        load(User, users=1, seconds=LONG)


def test_an_http_user_keeps_its_client_and_opens_others(log):
    class Hybrid(HttpUser, ProtocolUser):
        host = "http://127.0.0.1:1"

        def connect(self):
            self.bus = self.open_recorded()

        def open_recorded(self):
            return Recorded("recorded://here", user=self).open()

        @task
        def act(self):
            self.client.get("/", name="get")
            self.bus.work()
            raise StopUser

    results = load(Hybrid, users=1, seconds=LONG)
    assert log == ["connect", "work", "close"]
    assert [report.name for report in results.reports] == ["connect", "get", "work"]


def test_a_hybrid_without_connect_opens_nothing_of_its_own():
    class Hybrid(HttpUser, ProtocolUser):
        host = "http://127.0.0.1:1"

        @task
        def act(self):
            self.client.get("/", name="get")
            raise StopUser

    results = load(Hybrid, users=1, seconds=LONG)
    assert [report.name for report in results.reports] == ["get"]


def test_a_user_works_in_a_plain_test_without_any_runner(log):
    class User(RecordedUser):
        def on_start(self):
            log.append("on_start")

        @task
        def act(self):
            self.client.work()

    environment = Environment()
    user = User(environment)
    with capture(environment) as reports:
        user.on_start()
        user.act()
        user.on_stop()
    assert log == ["connect", "on_start", "work", "close"]
    assert [report.name for report in reports] == ["connect", "work"]


def test_nested_tasksets_that_fail_in_on_start_are_reported_once():
    class Inner(TaskSet):
        def on_start(self):
            with self.user.measure("enter"):
                raise ValueError("closed")

        @task
        def act(self): ...

    class User(ProtocolUser):
        protocol = KIND
        wait_time = constant(0.05)
        tasks = [Inner]

    results = load(User, users=1, seconds=0.3)
    assert results[KIND, "enter"].failures > 1
    assert results.errors == []


def test_a_client_per_iteration_leaves_nothing_with_its_user(log):
    class User(RecordedUser):
        def on_start(self):
            for _ in range(50):
                with self.open("recorded://here") as client:
                    client.work()
            assert list(self._clients) == [self.client]
            raise StopUser

        @task
        def act(self): ...

    load(User, users=1, seconds=LONG)
    assert log.count("close") == log.count("connect") == 51


def test_a_failed_connect_names_its_host_whatever_the_library_says():
    class Refusing(Recorded):
        def connect(self):
            raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(
        ConnectFailed, match="cannot connect to recorded://here: connection refused"
    ):
        Refusing("recorded://here").open()


def test_an_adapter_calls_a_blocking_library_in_a_native_thread():
    class Blocking(Recorded):
        def ask(self, **options):
            return self.perform(
                "ask", lambda call: self.in_thread(call, threads.append, 1), **options
            )

    threads = []

    class User(RecordedUser):
        client_class = Blocking

        @task
        def act(self):
            self.client.ask(name="ask {id}")
            raise StopUser

    results = load(User, users=1, seconds=LONG)
    assert threads == [1]
    assert results["recorded", "ask {id}"].series() == {"service": 1, "queue": 1}


def test_hooks_for_all_calls_leave_connecting_alone(log):
    class User(RecordedUser):
        @before_call
        def veto(self, call):
            call.skip("none of it")

        @before_call("connect")
        def greet(self, call):
            log.append("before connect")

        @task
        def act(self):
            self.client.work()
            raise StopUser

    results = load(User, users=1, seconds=0.5)
    assert log[:2] == ["before connect", "connect"]
    assert results["recorded", "work"].skipped > 0


def test_host_for_http_users_does_not_concern_a_user_without_any(log):
    class Web(HttpUser):
        @task
        def act(self):
            raise StopUser

    class Widgets(ProtocolUser):
        @task
        def act(self):
            log.append(self.host)
            raise StopUser

    results = load(Web, Widgets, users=2, seconds=LONG, host="http://127.0.0.1:1")
    assert log == ["http://127.0.0.1:1"]
    assert len(results) == 0


@pytest.mark.parametrize("order", ["http first", "ours first"])
def test_an_http_user_has_its_own_host_in_any_order_of_bases(order):
    bases = (HttpUser, ProtocolUser) if order == "http first" else (ProtocolUser, HttpUser)
    body = {"host": "http://127.0.0.1:1", "tasks": [lambda user: None]}
    hybrid = type("Hybrid", bases, body)
    hybrid.host = "recorded://elsewhere"  # as Locust does it for --host
    user = hybrid(Environment(host="recorded://elsewhere"))
    assert user.client.base_url == "http://127.0.0.1:1"


def test_a_greenlet_that_resists_and_a_client_that_hangs_keep_nobody_from_closing(log, caplog):
    class Hanging(Recorded):
        def connect(self):
            super().connect()
            self.resources.callback(gevent.sleep, 600)

    class User(RecordedUser):
        close_timeout = 0.2

        def on_start(self):
            for _ in range(2):
                Hanging("recorded://hanging", user=self).open()
            self.spawn(self.resist)
            self.begin("begun")

        def resist(self):
            try:
                gevent.sleep(60)
            finally:
                gevent.sleep(1)

        @task
        def act(self):
            gevent.sleep(60)

    results = load(User, users=1, seconds=0.3)
    assert results.seconds < LONG - 5
    assert log.count("close") == log.count("connect") == 3
    assert results["User", "begun"].cancelled == 1
    assert caplog.text.count("what hangs was left behind") == 1


def test_a_kill_while_closing_leaves_nothing_open(log):
    class Slow(Recorded):
        def connect(self):
            super().connect()
            self.resources.callback(gevent.sleep, 0.5)

    class User(RecordedUser):
        def on_start(self):
            Slow("recorded://slow", user=self).open()
            self.begin("begun")

        @task
        def act(self):
            gevent.sleep(60)

    results = load(User, users=1, seconds=0.2, stop_timeout=0.2)
    until = time.monotonic() + LONG
    while log.count("close") < 2 and time.monotonic() < until:
        gevent.sleep(0.02)
    assert log.count("close") == 2
    assert results["User", "begun"].cancelled == 1


def test_the_methods_of_a_life_may_be_async(log):
    class User(RecordedUser):
        async def prepare(self):
            await asyncio.sleep(0)
            log.append("prepare")

        async def on_start(self):
            await asyncio.sleep(0)
            log.append("on_start")

        async def on_stop(self):
            await asyncio.sleep(0)
            log.append("on_stop")

        @task
        def act(self):
            raise StopUser

    load(User, users=1, seconds=LONG)
    assert log == ["prepare", "connect", "on_start", "on_stop", "close"]


def test_a_veto_in_on_start_is_quiet_and_the_tasks_begin(log):
    class User(RecordedUser):
        @before_call("login")
        def veto(self, call):
            call.skip("no login today")

        def on_start(self):
            with self.measure("login"):
                log.append("unreachable")

        @task
        def act(self):
            self.client.work()
            raise StopUser

    results = load(User, users=1, seconds=LONG)
    assert log == ["connect", "work", "close"]
    assert results.errors == []


def test_names_that_a_tester_may_want_are_free(log):
    class User(RecordedUser):
        def on_start(self):
            self.session = self.clients = self.hooks = self.reported = "mine"
            self.started = self.user = "mine"

        @task
        def close(self):
            with self.measure("make"):
                pass
            raise StopUser

        @timed
        def release(self):
            """A method of the tester's own."""

    results = load(User, users=1, seconds=LONG)
    assert results["User", "make"].successes == 1
    assert log == ["connect", "close"]


def test_a_nested_taskset_whose_on_start_times_out_goes_back_to_its_parent():
    started = []

    class Inner(TaskSet):
        def on_start(self):
            started.append(self)
            with gevent.Timeout(0.01):
                gevent.sleep(60)

        @task
        def act(self): ...

    class User(ProtocolUser):
        wait_time = constant(60)
        tasks = [Inner]

    results = load(User, users=1, seconds=0.5)
    assert len(started) == 1
    assert len(results.errors) == 1


@pytest.mark.parametrize("timeout", ["5", 0, -1, None])
def test_a_timeout_is_a_number_of_seconds(timeout):
    with pytest.raises(ConfigurationError, match="is no number of seconds above 0"):
        Recorded("recorded://here", timeout=timeout)


def test_under_a_debugger_no_default_timeout_hurries_anybody(monkeypatch):
    monkeypatch.setattr("protouser._client.debugger_attached", lambda: True)
    assert Recorded("recorded://here").timeout is None
    assert Recorded("recorded://here", timeout=5).timeout == 5


def test_a_refused_connection_is_one_line_of_the_log_and_no_traceback(caplog):
    class User(RecordedUser):
        host = "recorded://refused"

        @task
        def act(self): ...

    results = load(User, users=5, seconds=LONG)
    assert results["recorded", "connect"].failures == 5
    said = [record.message for record in caplog.records]
    assert said == [
        "recorded connect failed: cannot connect to recorded://refused: refused",
        "User ends before its first task, for the failure above (said once for all of them)",
    ]


def test_a_failure_that_the_log_does_not_have_is_told_by_who_ends_for_it(caplog):
    reasons = iter(["refused", "no route", "no route"])

    class User(ProtocolUser):
        protocol = "own"

        def connect(self):
            raise OSError(next(reasons))

        @task
        def act(self): ...

    load(User, users=3, seconds=LONG)
    said = [record.message.partition("\n")[0] for record in caplog.records]
    assert said == [
        "own connect failed: refused",
        "User ends before its first task, for the failure above (said once for all of them)",
        "User ends before its first task: no route (said once for all of them)",
    ]


def test_an_error_of_ours_is_logged_with_the_line_of_the_tester(caplog):
    class User(ProtocolUser):
        wait_time = constant(60)

        @task
        def act(self):
            with self.measure("make"):
                raise CallTimeout("no reply within 1 s")

    load(User, users=1, seconds=0.3)
    (record,) = [record for record in caplog.records if "make failed" in record.message]
    assert "Traceback" not in record.message
    assert "test_life.py" in record.message
    assert record.message.endswith("in act)")


def test_that_line_is_found_in_a_file_that_is_called_like_one_of_ours(caplog):
    source = """
class Buyer(ProtocolUser):
    wait_time = constant(60)

    @task
    def buy(self):
        with self.measure("make"):
            raise CallTimeout("no reply within 1 s")
"""
    named = {"__name__": "protouser_shop", "ProtocolUser": ProtocolUser, "constant": constant}
    named.update(task=task, CallTimeout=CallTimeout)
    exec(compile(source, "protouser_shop.py", "exec"), named)
    load(named["Buyer"], users=1, seconds=0.3)
    (record,) = [record for record in caplog.records if "make failed" in record.message]
    assert record.message.endswith("(at protouser_shop.py:8 in buy)")


NOBODY_ANSWERS = """
    from locust import constant, task
    from protouser_socket import TcpUser

    class Caller(TcpUser):
        host = "tcp://127.0.0.1:{port}"
        wait_time = constant(1)

        @task
        def ask(self):
            self.client.request("hello")
"""


@pytest.mark.parametrize("more", [("-t", "8s"), ("-t", "12s", "--processes", "1")])
def test_that_no_user_is_left_is_said_once(run_locust, more):
    run = run_locust(NOBODY_ANSWERS.format(port=free_port()), "-u", "2", *more)
    said = [line for line in run.stderr.splitlines() if "no user is left" in line]
    assert len(said) == 1, run.stderr
    assert "no user is left of 2: each one ended by itself" in said[0]
