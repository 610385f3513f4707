"""Calls outside the hub: what they return, what they raise, and what a kill does to them."""

from __future__ import annotations

import locust  # noqa: F401  it patches the standard library, which is what all this is about

import asyncio
import contextlib
import contextvars
import gc
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import textwrap
import time
import traceback
import weakref
from concurrent.futures import ThreadPoolExecutor

import gevent
import gevent.event
import pytest
import trustme
from gevent._hub_local import get_hub_if_exists
from gevent.monkey import get_original

from protouser import ConfigurationError, now
from protouser._executors import (
    AsyncioExecutor,
    Bridge,
    PinnedExecutor,
    Stamp,
    ThreadExecutor,
    _asyncio,
)
from protouser._outcome import STOPPED

native_sleep = get_original("time", "sleep")
native_ident = get_original("_thread", "get_ident")
start_thread = get_original("_thread", "start_new_thread")
allocate_lock = get_original("_thread", "allocate_lock")

LONG = 60  # seconds, for what happens long before

KINDS = {"asyncio": AsyncioExecutor, "thread": ThreadExecutor, "pinned": PinnedExecutor}


@pytest.fixture(params=KINDS)
def executor(request):
    executor = KINDS[request.param]()
    yield executor
    executor.close()


@pytest.fixture
def loop():
    executor = AsyncioExecutor()
    yield executor
    executor.close()


@pytest.fixture
def patient(monkeypatch):
    """What is to unwind in time has much of it."""
    for limit in ("CLOSE_WITHIN", "CANCEL_WITHIN"):
        monkeypatch.setattr(_asyncio, limit, LONG)


@pytest.fixture
def threads():
    executor = ThreadExecutor(maxsize=4)
    yield executor
    executor.close()


@pytest.fixture
def pinned():
    executor = PinnedExecutor()
    yield executor
    executor.close()


def call(executor, function, *args, **kwargs):
    return executor.call(function, args, kwargs, Stamp())


def until(condition):
    with gevent.Timeout(LONG):
        while not condition():
            gevent.sleep(0.001)


class Gate:
    """Native code that is stuck until it is let go."""

    def __init__(self):
        self._lock = allocate_lock()
        self._lock.acquire()
        self.entered = 0

    def wait(self, result=None):
        self.entered += 1
        self._lock.acquire()
        self._lock.release()
        return result

    def open(self):
        self._lock.release()


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    if gate._lock.locked():
        gate.open()


def run_python(code, timeout=200):
    """Run a program in its own process, under a time limit; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", "import locust\n" + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


class TestEveryExecutor:
    def test_returns_what_the_function_returns(self, executor):
        assert call(executor, lambda a, b: a - b, 5, b=3) == 2

    def test_runs_in_a_native_thread_of_its_own(self, executor):
        assert call(executor, native_ident) != native_ident()

    def test_stamps_the_call_in_order(self, executor):
        stamp = Stamp()
        before = now()
        inner = executor.call(now, (), {}, stamp)
        assert before <= stamp.submitted <= stamp.started <= inner <= stamp.ended <= now()

    def test_raises_what_the_function_raises_with_its_traceback(self, executor):
        def breaks():
            raise KeyError("no such widget")

        stamp = Stamp()
        with pytest.raises(KeyError, match="no such widget") as caught:
            executor.call(breaks, (), {}, stamp)
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-1] == "breaks"
        assert "test_raises_what_the_function_raises_with_its_traceback" in names
        assert stamp.ended >= stamp.started > 0

    @pytest.mark.parametrize("error", [StopIteration("end"), SystemExit(3), GeneratorExit()])
    def test_odd_exceptions_travel_like_others(self, executor, error):
        def breaks():
            raise error

        with pytest.raises(type(error)) as caught:
            call(executor, breaks)
        assert caught.value is error
        assert call(executor, int, "7") == 7

    def test_the_users_own_cancelled_error_is_an_exception_like_others(self, executor):
        def breaks():
            raise asyncio.CancelledError("mine")

        with pytest.raises(asyncio.CancelledError, match="mine"):
            call(executor, breaks)

    def test_the_hub_goes_on_meanwhile(self, executor, gate):
        waiting = gevent.spawn(call, executor, gate.wait, "done")
        until(lambda: gate.entered)
        assert not waiting.ready()
        gate.open()
        assert waiting.get(timeout=LONG) == "done"

    def test_a_lone_main_greenlet_may_wait(self, executor):
        call(executor, native_sleep, 0.05)

    def test_the_function_sees_the_callers_context(self, executor):
        who = contextvars.ContextVar("who", default="nobody")
        who.set("user 7")
        assert call(executor, who.get) == "user 7"
        call(executor, who.set, "somebody else")
        assert who.get() == "user 7"

    def test_many_greenlets_get_their_own_results(self, executor):
        greenlets = [gevent.spawn(call, executor, lambda n: n * n, n) for n in range(200)]
        gevent.joinall(greenlets, timeout=LONG, raise_error=True)
        assert [greenlet.value for greenlet in greenlets] == [n * n for n in range(200)]

    def test_results_and_errors_are_not_kept(self, executor):
        class Thing:
            pass

        class Broken(Exception):
            def __init__(self):
                kept.append(weakref.ref(self))

        def breaks():
            raise Broken

        kept = []
        kept.append(weakref.ref(call(executor, Thing)))
        gc.disable()
        try:
            with contextlib.suppress(Broken):
                call(executor, breaks)
            # the thread may still be between handing over and waiting for the next call
            until(lambda: [ref() for ref in kept] == [None, None])
        finally:
            gc.enable()

    def test_close_may_be_repeated_and_ends_the_thread(self, executor):
        seen = weakref.ref(call(executor, _thread_object))
        executor.close()
        executor.close()
        until(lambda: seen() is None)

    def test_a_thread_ends_its_own_hub(self, executor):
        # the patched sleep makes a hub in the thread that calls it
        hub = call(executor, lambda: (time.sleep(0), get_hub_if_exists())[1])
        assert hub.loop is not None
        executor.close()
        until(lambda: hub.loop is None)


_of_thread = get_original("_thread", "_local")()


class _ThreadObject:
    pass


def _thread_object():
    """An object that lives as long as the calling native thread."""
    _of_thread.object = _ThreadObject()
    return _of_thread.object


class TestAsyncio:
    def test_awaits_what_the_function_returns(self, loop):
        async def double(n):
            await asyncio.sleep(0)
            return 2 * n

        assert call(loop, double, 21) == 42

    def test_knows_its_own_thread(self, loop):
        assert not loop.in_loop()
        assert call(loop, loop.in_loop) is True
        assert not loop.in_loop()

    def test_a_call_from_within_the_loop_is_refused(self, loop):
        with pytest.raises(ConfigurationError, match="await the coroutine"):
            call(loop, call, loop, int)

    def test_makes_no_second_hub(self, loop):
        async def hub():
            await asyncio.sleep(0.001)
            return get_hub_if_exists()

        assert call(loop, hub) is None

    def test_exceptions_of_coroutines_keep_their_traceback(self, loop):
        async def inner():
            await asyncio.sleep(0)
            raise ValueError("deep")

        async def outer():
            await inner()

        with pytest.raises(ValueError, match="deep") as caught:
            call(loop, outer)
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-2:] == ["outer", "inner"]

    def test_two_hundred_coroutines_wait_together(self, loop):
        together = call(loop, _barrier, 200)
        greenlets = [gevent.spawn(call, loop, together) for _ in range(200)]
        gevent.joinall(greenlets, timeout=LONG, raise_error=True)

    def test_calls_of_one_greenlet_batch_start_in_order(self, loop):
        order = []
        greenlets = [gevent.spawn(call, loop, order.append, n) for n in range(100)]
        gevent.joinall(greenlets, timeout=LONG, raise_error=True)
        assert order == list(range(100))

    def test_asyncio_primitives_work(self, loop):
        async def work():
            lock = asyncio.Lock()
            async with lock:
                first, second = await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await asyncio.Event().wait()
            return first, second

        assert call(loop, work) == (1, 2)

    def test_streams_to_a_server_by_name(self, loop):
        async def work():
            server = await asyncio.start_server(_echo, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            async with server:
                reader, writer = await asyncio.open_connection("localhost", port)
                writer.write(b"hello\n")
                line = await reader.readline()
                writer.close()
                await writer.wait_closed()
            return line

        assert call(loop, work) == b"hello\n"

    def test_many_streams_at_once(self, loop):
        async def client(port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for n in range(20):
                writer.write(b"%d\n" % n)
                assert await reader.readline() == b"%d\n" % n
            writer.close()
            await writer.wait_closed()

        server = call(loop, asyncio.start_server, _echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        greenlets = [gevent.spawn(call, loop, client, port) for _ in range(50)]
        gevent.joinall(greenlets, timeout=LONG, raise_error=True)
        call(loop, _close_server, server)

    def test_streams_with_tls(self, loop):
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        issued.configure_cert(serving)
        asking = ssl.create_default_context()
        authority.configure_trust(asking)

        async def work():
            server = await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=serving)
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=asking)
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            await _close_server(server)
            return line

        assert call(loop, work) == b"hello\n"

    @pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
    def test_closed_streams_leave_no_descriptors(self, loop):
        async def client(port):
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()

        server = call(loop, asyncio.start_server, _echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        call(loop, client, port)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            call(loop, client, port)
        until(lambda: len(os.listdir("/proc/self/fd")) <= before)
        call(loop, _close_server, server)

    def test_to_thread_runs_natively_and_delivers_at_once(self, loop):
        async def work():
            here = native_ident()
            there = await asyncio.to_thread(native_ident)
            return here, there

        here, there = call(loop, work)
        assert len({here, there, native_ident()}) == 3

    def test_to_thread_does_not_hold_up_the_loop(self, loop, gate):
        waiting = gevent.spawn(call, loop, asyncio.to_thread, gate.wait, "done")
        until(lambda: gate.entered)
        assert call(loop, int, "7") == 7
        gate.open()
        assert waiting.get(timeout=LONG) == "done"

    def test_to_thread_raises_what_the_function_raises(self, loop):
        with pytest.raises(ValueError, match="invalid literal"):
            call(loop, asyncio.to_thread, int, "x")
        with pytest.raises(RuntimeError, match="StopIteration"):
            call(loop, asyncio.to_thread, next, iter(()))

    def test_an_executor_of_the_users_own_works(self, loop):
        async def work():
            with ThreadPoolExecutor(1) as pool:
                return await asyncio.get_running_loop().run_in_executor(pool, int, "7")

        with gevent.Timeout(LONG):
            assert call(loop, work) == 7

    def test_threads_that_a_library_starts_get_their_turns(self, loop):
        import threading

        async def work():
            running = asyncio.get_running_loop()
            answer = running.create_future()

            def library():
                time.sleep(0.01)
                running.call_soon_threadsafe(answer.set_result, 7)

            threading.Thread(target=library, daemon=True).start()
            return await answer

        with gevent.Timeout(LONG):
            assert call(loop, work) == 7

    def test_names_are_resolved(self, loop):
        async def work():
            running = asyncio.get_running_loop()
            found = await running.getaddrinfo("localhost", 80)
            host, _service = await running.getnameinfo(("127.0.0.1", 80))
            return {address[0] for *_, address in found}, host

        addresses, host = call(loop, work)
        assert addresses & {"127.0.0.1", "::1"}
        assert host

    def test_a_kill_cancels_the_task_and_waits_for_it_to_unwind(self, patient, loop):
        seen = []

        async def work():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                await asyncio.sleep(0.01)
                seen.append(error.args)
                raise

        stamp = Stamp()
        greenlet = gevent.spawn(loop.call, work, (), {}, stamp)
        until(lambda: stamp.started)
        greenlet.kill(timeout=LONG)
        assert isinstance(greenlet.value, gevent.GreenletExit)
        assert seen == [(STOPPED,)]
        assert stamp.ended
        assert loop.abandoned == 0

    def test_a_timeout_cancels_the_task_and_is_raised(self, patient, loop):
        seen = []

        async def work():
            try:
                await asyncio.Event().wait()
            finally:
                seen.append(sys.exc_info()[1].args)

        stamp, timeout = Stamp(), gevent.Timeout(1)
        greenlet = gevent.spawn(_outcome, loop.call, work, (), {}, stamp)
        until(lambda: stamp.started)
        greenlet.kill(timeout, timeout=LONG)
        assert greenlet.value is timeout
        assert seen == [()]
        assert loop.abandoned == 0

    def test_a_hundred_hanging_calls_are_killed_together(self, patient, loop):
        stamps = [Stamp() for _ in range(100)]
        greenlets = [gevent.spawn(loop.call, _hang, (), {}, stamp) for stamp in stamps]
        until(lambda: all(stamp.started for stamp in stamps))
        gevent.killall(greenlets, timeout=LONG)
        assert all(stamp.ended for stamp in stamps)
        assert loop.abandoned == 0

    def test_a_call_killed_before_it_began_never_begins(self, loop, gate):
        blocking = gevent.spawn(call, loop, gate.wait)
        until(lambda: gate.entered)
        began = []
        stamp = Stamp()
        greenlet = gevent.spawn(loop.call, began.append, (1,), {}, stamp)
        gevent.sleep(0)
        greenlet.kill(block=False)
        gevent.sleep(0)
        gate.open()
        blocking.get(timeout=LONG)
        greenlet.join(timeout=LONG)
        assert greenlet.ready()
        assert (began, stamp.started, loop.abandoned) == ([], 0.0, 0)

    def test_a_task_that_will_not_end_is_abandoned_after_a_second(self, loop):
        release = call(loop, asyncio.Event)

        async def stubborn():
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()

        stamp = Stamp()
        greenlet = gevent.spawn(loop.call, stubborn, (), {}, stamp)
        until(lambda: stamp.started)
        greenlet.kill(timeout=LONG)
        assert greenlet.ready()
        assert loop.abandoned == 1
        call(loop, release.set)
        until(lambda: stamp.ended)

    @pytest.mark.parametrize("ends", [(gevent.Timeout, None), (None, gevent.Timeout)])
    def test_a_kill_wins_over_a_timeout_that_one_unwinds_from_the_other(self, patient, loop, ends):
        running, unwinding, release = [], [], call(loop, asyncio.Event)

        async def slow_to_end():
            try:
                running.append(1)
                await asyncio.Event().wait()
            finally:
                unwinding.append(1)
                await release.wait()

        def work():
            with contextlib.suppress(gevent.Timeout):
                call(loop, slow_to_end)
            return "went on"

        greenlet = gevent.spawn(work)
        for end, seen in zip(ends, (running, unwinding), strict=True):
            until(lambda seen=seen: seen)
            greenlet.kill(gevent.GreenletExit if end is None else end(1), block=False)
            gevent.sleep(0.01)
        call(loop, release.set)
        greenlet.join(LONG)
        assert isinstance(greenlet.value, gevent.GreenletExit)

    def test_close_cancels_what_runs(self, patient, loop):
        stamp = Stamp()
        greenlet = gevent.spawn(_outcome, loop.call, _hang, (), {}, stamp)
        until(lambda: stamp.started)
        loop.close()
        error = greenlet.get(timeout=LONG)
        assert isinstance(error, asyncio.CancelledError)
        assert error.args == (STOPPED,)
        assert loop.abandoned == 0

    def test_a_task_that_close_cancels_still_knows_where_it_runs(self, patient, loop):
        seen = []

        async def work():
            try:
                await asyncio.Event().wait()
            finally:
                seen.append(loop.in_loop())

        stamp = Stamp()
        gevent.spawn(_outcome, loop.call, work, (), {}, stamp)
        until(lambda: stamp.started)
        loop.close()
        assert seen == [True]

    def test_close_does_not_wait_for_a_blocked_loop(self, loop, gate):
        greenlet = gevent.spawn(_outcome, call, loop, gate.wait)
        until(lambda: gate.entered)
        with gevent.Timeout(LONG):
            loop.close()
        assert isinstance(greenlet.get(timeout=LONG), asyncio.CancelledError)
        assert loop.abandoned == 1

    def test_the_loop_outlives_a_task_that_exits(self, loop):
        async def work():
            async def leave():
                sys.exit(3)

            task = asyncio.ensure_future(leave())
            await asyncio.wait([task])
            return type(task.exception())

        assert call(loop, work) is SystemExit
        assert call(loop, int, "7") == 7

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
    def test_eager_tasks_work(self, loop):
        async def work():
            await asyncio.sleep(0)
            return 7

        call(loop, lambda: asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory))
        assert call(loop, work) == 7
        assert call(loop, int, "7") == 7

    def test_it_may_be_used_again_after_close(self, loop):
        first = call(loop, native_ident)
        loop.close()
        assert not loop.in_loop()
        assert call(loop, native_ident)
        assert first


class TestThreads:
    def test_threads_are_made_when_needed_and_reused(self, threads):
        idents = {call(threads, native_ident) for _ in range(50)}
        assert len(idents) == 1

    def test_calls_beyond_the_size_wait_for_a_free_thread(self, threads, gate):
        greenlets = [gevent.spawn(call, threads, gate.wait, n) for n in range(10)]
        until(lambda: gate.entered == 4)
        gevent.sleep(0.02)
        assert gate.entered == 4
        gate.open()
        gevent.joinall(greenlets, timeout=LONG, raise_error=True)
        assert [greenlet.value for greenlet in greenlets] == list(range(10))

    def test_a_blocking_call_blocks_nobody_else(self, threads, gate):
        waiting = gevent.spawn(call, threads, gate.wait)
        until(lambda: gate.entered)
        assert call(threads, int, "7") == 7
        gate.open()
        waiting.get(timeout=LONG)

    @pytest.mark.parametrize("how", ["kill", "timeout"])
    def test_a_stuck_call_is_abandoned_and_counted(self, threads, gate, how):
        end = gevent.GreenletExit() if how == "kill" else gevent.Timeout(1)
        greenlet = gevent.spawn(_outcome, call, threads, gate.wait)
        until(lambda: gate.entered)
        greenlet.kill(end, timeout=LONG)
        assert greenlet.value is end
        assert threads.abandoned == 1

    def test_stuck_threads_do_not_starve_the_others(self, threads, gate):
        greenlets = [gevent.spawn(call, threads, gate.wait) for _ in range(4)]
        until(lambda: gate.entered == 4)
        waiting = gevent.spawn(call, threads, int, "7")
        gevent.sleep(0.01)
        assert not waiting.ready()
        gevent.killall(greenlets, timeout=LONG)
        assert waiting.get(timeout=LONG) == 7
        assert threads.abandoned == 4

    def test_stuck_threads_do_not_pile_up_without_end(self, threads, gate):
        for stuck in (4, 8, 8, 8, 8):
            greenlets = [gevent.spawn(call, threads, gate.wait) for _ in range(4)]
            until(lambda stuck=stuck: gate.entered == stuck)
            gevent.sleep(0.02)
            gevent.killall(greenlets, timeout=LONG)
        assert gate.entered == 8
        assert threads.abandoned == 8
        gate.open()
        assert call(threads, int, "7") == 7
        until(lambda: len(threads._crew._threads) <= 4)

    def test_a_call_killed_while_it_waits_for_a_thread_never_begins(self, threads, gate):
        greenlets = [gevent.spawn(call, threads, gate.wait) for _ in range(4)]
        until(lambda: gate.entered == 4)
        began, stamp = [], Stamp()
        late = gevent.spawn(threads.call, began.append, (1,), {}, stamp)
        gevent.sleep(0.01)
        late.kill(timeout=LONG)
        assert threads.abandoned == 0
        gate.open()
        gevent.joinall(greenlets, timeout=LONG, raise_error=True)
        call(threads, int)
        assert (began, stamp.started) == ([], 0.0)

    def test_close_releases_who_waits_for_a_stuck_thread(self, threads, gate):
        greenlets = [gevent.spawn(_outcome, call, threads, gate.wait) for _ in range(6)]
        until(lambda: gate.entered == 4)
        with gevent.Timeout(LONG):
            threads.close()
        gevent.joinall(greenlets, timeout=LONG, raise_error=True)
        assert all(isinstance(greenlet.value, asyncio.CancelledError) for greenlet in greenlets)
        assert threads.abandoned == 4

    def test_it_may_be_used_again_after_close(self, threads):
        call(threads, int)
        threads.close()
        assert call(threads, int, "7") == 7

    def test_patched_code_waits_in_its_own_thread(self, threads):
        waiting = []

        def wait_for_all():
            waiting.append(1)
            while len(waiting) < 4:
                time.sleep(0.001)

        greenlets = [gevent.spawn(call, threads, wait_for_all) for _ in range(4)]
        assert len(gevent.joinall(greenlets, timeout=LONG, raise_error=True)) == 4

    def test_a_call_made_in_one_of_its_threads_works(self, threads):
        assert call(threads, call, threads, int, "7") == 7


class TestPinned:
    def test_an_object_lives_in_one_thread(self, pinned):
        database = call(pinned, sqlite3.connect, ":memory:")
        call(pinned, database.execute, "create table widgets (name text)")

        def insert(n):
            call(pinned, database.execute, "insert into widgets values (?)", (str(n),))

        gevent.joinall([gevent.spawn(insert, n) for n in range(50)], timeout=LONG, raise_error=True)
        rows = call(pinned, lambda: database.execute("select count(*) from widgets").fetchone())
        assert rows == (50,)
        with pytest.raises(sqlite3.ProgrammingError):
            database.execute("select 1")
        call(pinned, database.close)

    def test_calls_keep_their_order(self, pinned):
        order = []
        greenlets = [gevent.spawn(call, pinned, order.append, n) for n in range(100)]
        gevent.joinall(greenlets, timeout=LONG, raise_error=True)
        assert order == list(range(100))

    def test_later_calls_wait_for_an_abandoned_one(self, pinned, gate):
        first = gevent.spawn(call, pinned, gate.wait)
        until(lambda: gate.entered)
        first.kill(timeout=LONG)
        assert pinned.abandoned == 1
        second = gevent.spawn(call, pinned, native_ident)
        gevent.sleep(0.01)
        assert not second.ready()
        gate.open()
        thread = second.get(timeout=LONG)
        assert call(pinned, native_ident) == thread

    def test_close_ends_after_what_is_queued(self, pinned):
        done = []
        greenlets = [gevent.spawn(call, pinned, done.append, n) for n in range(10)]
        gevent.sleep(0)
        pinned.close()
        gevent.joinall(greenlets, timeout=LONG, raise_error=True)
        assert done == list(range(10))

    def test_a_call_after_close_is_refused(self, pinned):
        call(pinned, int)
        pinned.close()
        with pytest.raises(ConfigurationError, match="after its thread had ended"):
            call(pinned, int)

    def test_a_stuck_thread_does_not_hold_up_close(self, pinned, gate):
        greenlet = gevent.spawn(_outcome, call, pinned, gate.wait)
        until(lambda: gate.entered)
        with gevent.Timeout(LONG):
            pinned.close()
        assert isinstance(greenlet.get(timeout=LONG), asyncio.CancelledError)


class TestBridge:
    def test_one_hub_has_one_bridge(self):
        assert Bridge.of_hub() is Bridge.of_hub()

    def test_another_threads_hub_has_another(self, threads):
        assert call(threads, Bridge.of_hub) is not Bridge.of_hub()

    def test_functions_run_in_the_hub(self):
        where = gevent.event.AsyncResult()
        Bridge.of_hub().post(lambda: where.set(gevent.getcurrent()))
        assert where.get(timeout=LONG) is gevent.get_hub()

    def test_every_function_of_many_threads_arrives_once_and_in_order(self):
        bridge, arrived = Bridge.of_hub(), []

        def post(thread):
            for n in range(5000):
                bridge.post(arrived.append, (thread, n))

        for thread in range(8):
            start_thread(post, (thread,))
        until(lambda: len(arrived) == 40_000)
        for thread in range(8):
            assert [n for t, n in arrived if t == thread] == list(range(5000))

    def test_a_function_that_fails_costs_the_others_nothing(self, monkeypatch):
        bridge, arrived, told = Bridge.of_hub(), [], []
        monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *error: told.append(error[1]))
        bridge.post(arrived.append, 1)
        bridge.post(int, "x")
        bridge.post(arrived.append, 2)
        until(lambda: arrived == [1, 2])
        assert told == [ValueError]

    def test_much_that_is_posted_leaves_turns_to_others(self):
        bridge, arrived, seen = Bridge.of_hub(), [], []

        def take_long():
            until_then = now() + 0.002
            while now() < until_then:
                pass
            arrived.append(1)

        for _ in range(50):
            bridge.post(take_long)
        gevent.spawn_later(0.001, lambda: seen.append(len(arrived)))
        until(lambda: len(arrived) == 50)
        assert seen
        assert seen[0] < 50

    def test_a_function_may_post_another(self):
        bridge, arrived = Bridge.of_hub(), []
        bridge.post(bridge.post, arrived.append, 1)
        until(lambda: arrived == [1])

    def test_an_idle_bridge_does_not_keep_the_loop_alive(self):
        assert (
            run_python(
                """
            import gevent, gevent.event
            from protouser._executors import Bridge
            with Bridge.of_hub().waiting():
                gevent.sleep(0)
            try:
                gevent.event.Event().wait()
            except gevent.exceptions.LoopExit:
                print("ended")
            """
            )
            == "ended\n"
        )

    def test_a_waiting_bridge_keeps_the_loop_alive(self):
        assert (
            run_python(
                """
            import gevent, gevent.event
            from gevent.monkey import get_original
            from protouser._executors import Bridge
            bridge, event = Bridge.of_hub(), gevent.event.Event()
            def later():
                get_original("time", "sleep")(0.2)
                bridge.post(event.set)
            get_original("_thread", "start_new_thread")(later, ())
            with bridge.waiting(), bridge.waiting():
                event.wait()
            print("arrived")
            """
            )
            == "arrived\n"
        )


class TestProcess:
    def test_a_process_ends_although_its_threads_are_stuck(self):
        assert (
            run_python(
                """
            import gevent, asyncio
            from gevent.monkey import get_original
            from protouser._executors import *
            sleep = get_original("time", "sleep")
            async def hang(): await asyncio.Event().wait()
            for executor, f in (
                (AsyncioExecutor(), lambda: sleep(3600)), (AsyncioExecutor(), hang),
                (ThreadExecutor(), lambda: sleep(3600)), (PinnedExecutor(), lambda: sleep(3600)),
            ):
                gevent.spawn(executor.call, f, (), {}, Stamp())
            gevent.sleep(0.3)
            print("the end")
            """,
            )
            == "the end\n"
        )

    def test_every_executor_works_in_a_forked_child_and_in_the_parent(self):
        assert (
            run_python(
                """
            import asyncio, gc, gevent, os, sys, warnings
            warnings.simplefilter("error")
            from protouser._executors import *
            async def work():
                await asyncio.sleep(0.01)
                return await asyncio.to_thread(int, "7")
            executors = [AsyncioExecutor(), ThreadExecutor(), PinnedExecutor()]
            functions = [work, int, int]
            def use():
                return [e.call(f, (), {}, Stamp()) for e, f in zip(executors, functions)]
            assert use() == [7, 0, 0]
            pid = gevent.fork()
            if pid == 0:
                gevent.spawn(use).get(timeout=60)
                assert use() == [7, 0, 0]
                for executor in executors: executor.close()
                gc.collect()
                print("child", flush=True)
                os._exit(0)
            assert use() == [7, 0, 0]
            assert os.waitpid(pid, 0)[1] == 0
            assert use() == [7, 0, 0]
            for executor in executors: executor.close()
            print("parent", flush=True)
            """
            )
            == "child\nparent\n"
        )

    def test_a_lone_main_greenlet_waits_for_a_coroutine(self):
        assert (
            run_python(
                """
            import asyncio
            from protouser._executors import *
            print(AsyncioExecutor().call(asyncio.sleep, (0.2, "slept"), {}, Stamp()))
            """
            )
            == "slept\n"
        )

    def test_a_lone_main_greenlet_that_waits_can_be_interrupted(self):
        program = """
            import asyncio, sys
            from protouser._executors import *
            async def hang():
                print("waits", flush=True)
                await asyncio.Event().wait()
            try:
                AsyncioExecutor().call(hang, (), {}, Stamp())
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            """
        process = subprocess.Popen(
            [sys.executable, "-c", "import locust\n" + textwrap.dedent(program)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout.readline() == "waits\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == "interrupted\n"
            assert process.wait(timeout=LONG) == 0

    def test_importing_opens_nothing(self):
        assert (
            run_python(
                """
            import os
            before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
            import protouser._executors, protouser._watchdog
            after = len(os.listdir("/proc/self/fd")) if before else 0
            print(after - before)
            """
            )
            == "0\n"
        )


async def _echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
    writer.close()
    await writer.wait_closed()


async def _close_server(server):
    server.close()
    await server.wait_closed()


async def _barrier(size):
    reached, everybody = [], asyncio.Event()

    async def arrive():
        reached.append(1)
        if len(reached) == size:
            everybody.set()
        await everybody.wait()

    return arrive


async def _hang():
    await asyncio.Event().wait()


def _outcome(function, *args):
    """What a function raises, or else returns, as a value."""
    try:
        return function(*args)
    except BaseException as error:
        return error
