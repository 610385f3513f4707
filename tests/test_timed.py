"""``timed``: any callable in one line."""

from locust import TaskSet, task
from locust.env import Environment
from locust.exception import StopUser

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from enum import Enum

import gevent
import pytest
from gevent.monkey import get_original

from protouser import ConfigurationError, ProtocolUser, before_call, timed, unwrap
from protouser.testing import Row, capture, load

native_ident = get_original("_thread", "get_ident")

LONG = 60  # seconds, for what ends by itself long before


class Orders:
    def get(self, number):
        return f"order {number}"


class Colour(Enum):
    RED = 1


class Shop:
    version = "1.0"
    colour = Colour.RED

    def __init__(self, name="shop"):
        self.name = name
        self.orders = Orders()
        self.log = []
        self.thread = native_ident()

    def buy(self, what):
        return what

    def pages(self):
        yield from ("one", "two")

    def where(self):
        return native_ident()

    @property
    def open(self):
        return True

    def _secret(self):
        return "secret"

    def __enter__(self):
        self.log.append("entered")
        return self

    def __exit__(self, *_error):
        self.log.append("left")


class Shopper(ProtocolUser):
    protocol = "shop"


@pytest.fixture
def user():
    user = Shopper(Environment())
    yield user
    user._close()
    user._session.close()


@pytest.fixture
def reports(user):
    with capture(user.environment) as reports:
        yield reports


def rows(reports):
    return [(report.name, report.exception and str(report.exception)) for report in reports]


def test_the_public_methods_of_an_object_are_rows_by_their_names(user, reports):
    shop = user.timed(Shop())
    assert shop.buy("x") == "x"
    assert shop.buy(what="y") == "y"
    assert rows(reports) == [("buy", None), ("buy", None)]


def test_nested_clients_are_rows_with_dots(user, reports):
    shop = user.timed(Shop())
    assert shop.orders.get(7) == "order 7"
    assert rows(reports) == [("orders.get", None)]


def test_everything_else_passes_through(user, reports):
    shop = user.timed(Shop())
    assert (shop.version, shop.open, shop._secret(), shop.colour) == (
        "1.0",
        True,
        "secret",
        Colour.RED,
    )
    shop.name = "renamed"
    assert unwrap(shop).name == shop.name == "renamed"
    with shop as entered:
        assert entered is shop
    assert shop.log == ["entered", "left"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = shop.nothing
    assert reports == []


def test_a_function_and_a_callable_object_are_rows_by_name(user, reports):
    class Doubler:
        def __call__(self, value):
            return value * 2

    def double(value):
        return value * 2

    assert user.timed(double)(2) == user.timed(Doubler())(2) == 4
    assert user.timed(double, names="twice")(1) == 2
    assert [report.name for report in reports] == ["double", "Doubler", "twice"]


def test_a_class_is_constructed_with_the_further_arguments(user):
    assert user.timed(Shop, "corner").name == "corner"
    with pytest.raises(ConfigurationError, match="only for a class"):
        user.timed(Shop(), "corner")


def test_names_checks_only_and_length_are_told_by_method(user, reports):
    shop = user.timed(
        Shop(),
        names={"buy": "purchase"},
        check={"orders.get": lambda order: order == "order 1"},
        only=("buy", "orders.get"),
        length=lambda result: 1000,
    )
    shop.buy("x")
    shop.orders.get(2)
    shop.where()
    assert rows(reports) == [("purchase", None), ("orders.get", "check failed: got 'order 2'")]
    assert reports[0].response_length == 1000


def test_a_method_that_is_not_measured_still_runs_where_its_object_lives(user, reports):
    class Both(Shop):
        async def close(self):
            return native_ident()

    assert user.timed(Both(), only=("buy",)).close() != native_ident()
    pinned = user.timed(Shop, run="pinned", only=("buy",))
    assert pinned.where() == pinned.thread
    assert reports == []


def test_names_may_be_a_function(user, reports):
    user.timed(Shop(), names=str.upper).orders.get(1)
    assert rows(reports) == [("ORDERS.GET", None)]


def test_an_exception_fails_the_row_and_goes_on(user, reports):
    with pytest.raises(ZeroDivisionError):
        user.timed(lambda: 1 / 0, names="divide")()
    assert rows(reports) == [("divide", "division by zero")]


def test_an_unknown_run_is_refused(user):
    with pytest.raises(ConfigurationError, match="run='process' is unknown"):
        user.timed(Shop, run="process")


def test_unwrap_leaves_other_things_alone(user):
    def function(): ...

    assert unwrap(user.timed(function)) is function
    assert unwrap(5) == 5


def test_an_iterator_is_a_stream_but_a_cursor_is_not(user, reports):
    connection = sqlite3.connect(":memory:")
    try:
        database = user.timed(connection)
        assert database.execute("select 1").fetchone() == (1,)
        assert list(user.timed(iter, names="iter")([1, 2])) == [1, 2]
    finally:
        connection.close()
    assert rows(reports) == [("execute", None), ("iter", None)]
    results = Row(user._session.results(), "shop", "iter")
    assert results.counter("items") == 2


def test_a_stream_passes_on_what_its_source_can_do(user):
    class Feed(Iterator):
        closed = False

        def __next__(self):
            return 1

        def close(self):
            self.closed = True

    feed = Feed()
    stream = user.timed(lambda: feed, names="feed")()
    assert next(stream) == 1
    stream.close()
    assert feed.closed
    assert stream.closed
    assert list(stream) == []


def test_a_blocking_call_runs_in_a_native_thread_and_only_its_user_waits(user):
    sleep = get_original("time", "sleep")
    ticks = []

    def block():
        for _ in range(2000):
            if len(ticks) > 5:
                break
            sleep(0.01)
        return native_ident()

    def tick():
        while True:
            ticks.append(1)
            gevent.sleep(0.01)

    ticking = gevent.spawn(tick)
    thread = user.timed(block, run="thread")()
    ticking.kill()
    assert thread != native_ident()
    assert len(ticks) > 5
    row = Row(user._session.results(), "shop", "block")
    assert set(row.series()) == {"service", "queue"}


def test_a_pinned_object_lives_in_one_thread_of_its_own(user):
    shop = user.timed(Shop, run="pinned")
    threads = {shop.where() for _ in range(20)}
    assert threads == {shop.thread}
    assert native_ident() not in threads


def test_sqlite_works_pinned(user, reports):
    class Database:
        def __init__(self, path):
            self._connection = sqlite3.connect(path)

        def total(self):
            return self._connection.execute("select 40 + 2").fetchone()[0]

        def close(self):
            self._connection.close()

    pinned = user.timed(Database, ":memory:", run="pinned")
    assert pinned.total() == 42
    pinned.close()
    assert [report.name for report in reports] == ["total", "close"]


def test_a_generator_of_a_blocking_library_is_read_in_its_thread(user):
    def numbers():
        while True:
            yield native_ident()

    stream = user.timed(numbers, run="pinned")()
    threads = {next(stream) for _ in range(5)}
    stream.close()
    assert threads
    assert native_ident() not in threads


class AsyncShop:
    async def buy(self, what):
        await asyncio.sleep(0.01)
        return what

    async def pages(self):
        for page in ("one", "two"):
            await asyncio.sleep(0)
            yield page

    def later(self):
        return self.buy("later")


def test_async_functions_are_awaited_on_the_loop(user, reports):
    shop = user.timed(AsyncShop())
    assert shop.buy("x") == "x"
    assert shop.later() == "later"
    assert list(shop.pages()) == ["one", "two"]
    assert [report.name for report in reports] == ["buy", "later", "pages"]
    assert all(report.exception is None for report in reports)
    assert reports[0].response_time >= 10


def test_a_class_run_on_the_loop_is_constructed_there(user):
    class NeedsLoop:
        def __init__(self):
            self.loop = asyncio.get_running_loop()

        def same(self):
            return self.loop is asyncio.get_running_loop()

    assert user.timed(NeedsLoop, run="asyncio").same()


def test_many_users_share_the_loop_without_waiting_for_each_other():
    waiting = []

    async def wait():
        waiting.append(1)
        while len(waiting) < 50:
            await asyncio.sleep(0.001)

    class User(ProtocolUser):
        protocol = "shop"

        @task
        def act(self):
            self.timed(wait)()
            raise StopUser

    results = load(User, users=50, seconds=LONG)
    assert results["shop", "wait"].successes == 50
    assert results.seconds < LONG - 5


def test_async_tasks_use_timed_objects_and_streams_with_await():
    pages = []

    class User(ProtocolUser):
        protocol = "shop"

        def on_start(self):
            self.shop = self.timed(AsyncShop())

        @timed(name="decorated")
        async def twice(self):
            await asyncio.sleep(0)
            return "ab"

        @task
        async def act(self):
            pages.append(await self.shop.buy("x"))
            pages.append(await self.twice())
            pages.extend([page async for page in self.shop.pages()])
            async for page in self.shop.pages():
                pages.append(page)
                break
            with self.measure("by hand"):
                await asyncio.sleep(0)
            raise StopUser

    results = load(User, users=1, seconds=LONG)
    assert pages == ["x", "ab", "one", "two", "one"]
    names = ["buy", "by hand", "decorated", "pages"]
    assert [name for _type, name in results] == names
    assert [results["shop", name].successes for name in names] == [1, 1, 1, 2]
    assert results["shop", "pages"].counter("left") == 1
    assert results.errors == []


def test_a_failing_async_task_is_reported_once():
    class User(ProtocolUser):
        protocol = "shop"
        rounds = 0

        @task
        async def act(self):
            User.rounds += 1
            if User.rounds == 2:
                raise StopUser
            with self.measure("buy"):
                raise ValueError("sold out")

    results = load(User, users=1, seconds=LONG)
    assert results["shop", "buy"].failures == 1
    assert results.errors == []
    assert User.rounds == 2


def test_a_decorated_method_works_from_plain_tasks_too(user, reports):
    class User(ProtocolUser):
        protocol = "shop"

        @timed
        async def buy(self):
            return "x"

        @timed(check=lambda result: False)
        def sell(self):
            return "y"

    made = User(user.environment)
    try:
        assert made.buy() == "x"
        assert made.sell() == "y"
    finally:
        made._close()
    assert rows(reports) == [("buy", None), ("sell", "check failed: got 'y'")]


def test_the_interval_of_a_native_call_is_taken_in_its_thread_whatever_the_hub_does(user):
    sleep = get_original("time", "sleep")

    def work():
        sleep(0.02)
        return b"done"

    def numbers():
        for number in range(3):
            sleep(0.02)
            yield number

    def block_the_hub():
        gevent.sleep(0.005)
        sleep(1)

    def blocked(call):
        blocking = gevent.spawn(block_the_hub)
        call()
        blocking.join()

    blocked(user.timed(work, run="thread", length=len))
    stream = user.timed(numbers, run="thread")()
    blocked(lambda: next(stream))
    stream.close()
    user._close()  # settles what was left
    figures = user._session.results()
    for name, series in (("work", "service"), ("numbers", "service"), ("numbers", "first item")):
        assert Row(figures, "shop", name).percentile(1.0, series) < 0.8


def test_a_stream_is_a_context_manager(user, reports):
    def pages():
        yield from ("one", "two")

    with user.timed(pages)() as stream:
        assert next(stream) == "one"
    user._close()  # settles what was left
    assert rows(reports) == [("pages", None)]


def test_a_vetoed_async_stream_is_none_as_any_vetoed_call():
    class User(ProtocolUser):
        def on_start(self):
            self.shop = self.timed(AsyncShop())

        @before_call
        def veto(self, call):
            call.skip()

        @task
        async def act(self):
            seen.append(self.shop.pages())
            seen.append(await self.shop.buy("x"))
            raise StopUser

    seen = []
    results = load(User, users=1, seconds=LONG)
    assert seen == [None, None]
    assert results["User", "pages"].skipped == 1


class Stubbed:
    """A library that replaces what it holds, as on a reconnect."""

    def __init__(self):
        self.reconnect(1)

    def reconnect(self, number):
        self.orders = Orders()
        self.orders.number = number
        self.send = lambda: number

    @property
    def fresh(self):
        return Orders()

    @staticmethod
    def double(value):
        return value * 2


def test_what_a_library_replaces_is_never_called_again(user, reports):
    target = Stubbed()
    proxy = user.timed(target)
    first = proxy.orders
    assert (first.number, proxy.send()) == (1, 1)
    target.reconnect(2)
    assert (proxy.orders.number, proxy.send()) == (2, 2)
    assert proxy.orders is not first
    target.orders = None
    assert proxy.orders is None
    assert [report.name for report in reports] == ["send", "send"]


def test_the_second_access_gives_the_same_measured_form(user):
    target = Stubbed()
    proxy = user.timed(target)
    assert proxy.reconnect is proxy.reconnect
    assert proxy.double is proxy.double
    assert proxy.send is proxy.send
    assert proxy.orders is proxy.orders
    assert proxy.orders.get is proxy.orders.get
    target.borrowed = target.orders.get
    borrowed = proxy.borrowed
    target.borrowed = target.orders.get
    assert proxy.borrowed is borrowed
    assert unwrap(proxy.fresh) is not unwrap(proxy.fresh)


def test_a_method_that_is_set_on_or_deleted_from_the_stand_in_is_the_objects(user):
    proxy = user.timed(Shop())
    assert proxy.buy("x") == "x"
    proxy.buy = lambda what: what * 2
    assert proxy.buy("x") == "xx"
    del proxy.buy
    assert proxy.buy("x") == "x"


class Table(dict):
    def total(self):
        return sum(self.values())


class Ticks:
    def __init__(self):
        self.left = 3
        self.threads = set()

    def __iter__(self):
        return self

    def __next__(self):
        self.threads.add(native_ident())
        if not self.left:
            raise StopIteration
        self.left -= 1
        return self.left

    def reset(self):
        self.left = 1


def test_an_object_with_items_and_an_iterator_stay_what_they_are(user):
    table = user.timed(Table())
    table["a"], table["b"] = 1, 2
    del table["a"]
    assert ("a" in table, table["b"], len(table), list(table)) == (False, 2, 1, ["b"])
    ticks = user.timed(Ticks())
    assert (next(ticks), list(ticks), next(ticks, "end")) == (2, [1, 0], "end")
    with pytest.raises(TypeError, match="not an iterator"):
        next(table)


def test_a_pinned_iterator_is_read_in_its_thread(user):
    ticks = user.timed(Ticks, run="pinned")
    assert list(ticks) == [2, 1, 0]
    assert native_ident() not in ticks.threads
    assert len(ticks.threads) == 1


def test_an_object_is_an_async_iterable_for_async_tasks(user):
    class Feed:
        def __aiter__(self):
            return AsyncShop().pages()

    async def read():
        return [page async for page in feed]

    feed = user.timed(Feed())
    assert asyncio.run(read()) == ["one", "two"]


def test_a_directory_is_listed_in_a_with_block(user, tmp_path):
    (tmp_path / "file").touch()
    with user.timed(os.scandir)(tmp_path) as entries:
        assert [entry.name for entry in entries] == ["file"]
    row = Row(user._session.results(), "shop", "scandir")
    assert (row.successes, row.counter("items")) == (1, 1)


def test_a_user_and_a_task_set_may_be_decorated_whatever_attributes_they_have(user, reports):
    class Bob(ProtocolUser):
        protocol = "shop"
        user = "bob"

        @timed
        def greet(self):
            return self.user

    class Tasks(TaskSet):
        @timed
        def act(self):
            return "acted"

    bob = Bob(user.environment)
    try:
        assert bob.greet() == "bob"
        assert Tasks(bob).act() == "acted"
    finally:
        bob._close()
    assert rows(reports) == [("greet", None), ("act", None)]
