"""The watchdog: which line it blames for a blocked hub, and when it blames none."""

from __future__ import annotations

import locust  # noqa: F401  it patches the standard library

import difflib
import inspect
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections import Counter

import gevent
import pytest
from gevent.monkey import get_original

from protouser import _watchdog, now
from protouser._executors import ThreadExecutor
from protouser._watchdog import Block, Watchdog, debugger_attached

native_sleep = get_original("time", "sleep")


LONG = 60  # seconds, for what happens long before


def until(condition, seconds=LONG):
    with gevent.Timeout(seconds):
        while not condition():
            gevent.sleep(0.005)


def until_found(found, block, *arguments):
    """Block the hub again and again: whoever lacks the processor himself looks in vain."""
    with gevent.Timeout(LONG):
        while not found():
            block(*arguments)
            gevent.sleep(0.05)


@pytest.fixture
def blocks():
    return []


@pytest.fixture
def watchdog(blocks):
    watchdog = Watchdog(blocks.append)
    watchdog.start()
    until(lambda: watchdog.beats)
    yield watchdog
    watchdog.stop()


def sleep_natively(seconds):
    native_sleep(seconds)  # this line blocks


def sleep_elsewhere():
    native_sleep(0.2)


def compute_for(seconds):
    until_then = now() + seconds
    while now() < until_then:
        compute_in_python()


def compute_in_python():
    for _ in range(3):
        difflib.SequenceMatcher(None, "ab" * 900, "ba" * 900, autojunk=False).ratio()


def compute_in_c():
    until_then = now() + 0.4
    while now() < until_then:
        sum(range(30_000_000))


def line_in(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(n for n, line in enumerate(lines) if text in line)


def test_the_line_that_blocks_is_found(watchdog, blocks):
    until_found(lambda: blocks, sleep_natively, 0.3)
    (block,) = blocks
    assert os.path.samefile(block.filename, __file__)
    assert block.line == line_in(sleep_natively, "native_sleep")
    assert block.function == "sleep_natively"
    assert block.source_line == "native_sleep(seconds)  # this line blocks"
    assert block.via == ""


def test_its_time_is_told(watchdog):
    def spent():
        return next((spent for spent, _ in watchdog.take_delays().blocks.values()), 0.0)

    seconds = 0.0
    with gevent.Timeout(LONG):
        while seconds < 0.28:  # what was lost while the process stood still does not count
            began = now()
            gevent.sleep(0.05)
            spent()
            sleep_natively(0.3)
            gevent.sleep(0.05)
            seconds = spent()
    assert seconds < now() - began


def test_it_is_found_in_a_greenlet_too(watchdog, blocks):
    until_found(lambda: blocks, lambda: gevent.spawn(sleep_natively, 0.2).join())
    assert blocks[0].function == "sleep_natively"


def test_each_place_is_told_once(watchdog, blocks):
    seen = Counter()

    def found_again():
        seen.update(place.function for place in watchdog.take_delays().blocks)
        return seen["sleep_natively"] >= 3

    until_found(found_again, sleep_natively, 0.2)
    until_found(lambda: len(blocks) == 2, sleep_elsewhere)
    assert [block.function for block in blocks] == ["sleep_natively", "sleep_elsewhere"]
    assert watchdog.late >= 4
    assert watchdog.max_lag > 0.1


def test_the_users_line_is_blamed_for_what_a_library_does(watchdog, blocks):
    until_found(lambda: blocks, compute_for, 0.4)
    assert blocks[0].function == "compute_in_python"
    assert blocks[0].line == line_in(compute_in_python, "difflib")
    assert "difflib" in blocks[0].via


def test_c_code_that_keeps_the_interpreter_to_itself_is_found(watchdog, blocks):
    until_found(lambda: blocks, compute_in_c)
    assert blocks[0].function == "compute_in_c"


def test_a_threshold_may_be_set(blocks):
    watchdog = Watchdog(blocks.append, threshold=2.0)
    watchdog.start()
    until(lambda: watchdog.beats)
    until_found(lambda: watchdog.max_lag > 0.1, sleep_natively, 0.2)
    watchdog.stop()
    assert (blocks, watchdog.late) == ([], 0)


def test_an_idle_hub_is_not_blamed(watchdog, blocks):
    beats = watchdog.beats
    until(lambda: watchdog.beats > beats + 20)
    assert blocks == []


def test_waiting_in_another_thread_is_not_blamed(watchdog, blocks):
    from protouser._executors import Stamp

    threads = ThreadExecutor()
    threads.call(native_sleep, (0.3,), {}, Stamp())
    threads.close()
    assert blocks == []


def fill_the_hub():
    def work(end):
        end.recv(1)
        until_then = now() + 0.008
        while now() < until_then:
            pass

    pairs = [socket.socketpair() for _ in range(60)]
    greenlets = [gevent.spawn(work, mine) for mine, _ in pairs]
    gevent.sleep(0.01)
    for _, other in pairs:
        other.send(b"x")
    gevent.joinall(greenlets, timeout=LONG, raise_error=True)
    gevent.sleep(0.05)
    for pair in pairs:
        for end in pair:
            end.close()


def test_a_hub_full_of_small_work_is_late_but_no_line_is_blamed(watchdog):
    for _ in range(5):  # who loses the processor within his small work seems to block
        late = watchdog.late
        watchdog.take_delays()
        fill_the_hub()
        if watchdog.late > late and not watchdog.take_delays().blocks:
            return
    pytest.fail("a line was blamed, or nothing was late")


def test_lines_are_seen_at_work_though_none_of_them_blocks(watchdog, blocks):
    def work():
        until_then = now() + 0.002
        while now() < until_then:
            pass

    watchdog.take_delays()
    for _ in range(200):
        work()
        gevent.sleep(0)
    delays = watchdog.take_delays()
    assert delays.looks >= sum(delays.lines.values()) > 0
    (place, _), *_ = delays.lines.most_common()
    assert (os.path.basename(place.filename), place.function) == ("test_watchdog.py", "work")
    beats = watchdog.beats
    until(lambda: watchdog.beats > beats + 10)
    assert place not in watchdog.take_delays().lines  # who waits does not work


def test_a_hub_that_stays_blocked_is_told_on_stderr_at_once(watchdog, blocks, monkeypatch, capfd):
    monkeypatch.setattr(_watchdog, "_SHOUT_AFTER", 0.15)
    said = []

    def found():
        said.append(capfd.readouterr().err)
        return blocks and any(said)

    until_found(found, sleep_natively, 0.5)
    written = "".join(said).splitlines()
    assert len(written) == 1
    assert "the event loop is blocked" in written[0]
    assert f"sleep_natively ({__file__}:" in written[0]


def threads_that_watch():
    run = _watchdog._Watch.run.__code__
    return sum(frame.f_code is run for frame in sys._current_frames().values())


def test_the_thread_ends_after_stop_and_start_begins_anew(blocks):
    until(lambda: threads_that_watch() == 0)
    watchdog = Watchdog(blocks.append)
    for _ in range(2):
        watchdog.start()
        watchdog.start()
        until(lambda: threads_that_watch() == 1)
        watchdog.stop()
        watchdog.stop()
        until(lambda: threads_that_watch() == 0)
    watchdog.start()
    until_found(lambda: blocks, sleep_natively, 0.2)
    watchdog.stop()


def test_a_listener_that_fails_does_not_end_the_watch(blocks, capsys):
    def listen(block):
        blocks.append(block)
        raise ValueError("no log today")

    watchdog = Watchdog(listen)
    watchdog.start()
    until(lambda: watchdog.beats)
    until_found(lambda: blocks, sleep_natively, 0.2)
    until_found(lambda: len(blocks) == 2, sleep_elsewhere)
    watchdog.stop()
    assert "no log today" in capsys.readouterr().err


PROGRAM = """
import locust, gevent, os, sys
from protouser._watchdog import Watchdog
blocks = []
watchdog = Watchdog(blocks.append)
"""


def run_python(code):
    return [sys.executable, "-c", PROGRAM + textwrap.dedent(code)]


def test_a_process_that_was_stopped_blames_nothing():
    code = """
        watchdog.start()
        gevent.sleep(0.1)
        print("watches", flush=True)
        beats = watchdog.beats
        while watchdog.max_lag < 0.4 and watchdog.beats < beats + 40:
            gevent.sleep(0.02)
        print(len(blocks), watchdog.max_lag < 0.4)
        """
    with subprocess.Popen(run_python(code), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "watches\n"
        process.send_signal(signal.SIGSTOP)
        native_sleep(1)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == "0 True\n"
        assert process.wait(timeout=LONG) == 0


def test_it_keeps_no_loop_alive_and_starts_again_in_a_child():
    code = """
        from gevent.monkey import get_original
        watchdog.start()
        gevent.sleep(0.05)
        pid = gevent.fork()
        watchdog.start()
        gevent.sleep(0.05)
        for _ in range(100):
            get_original("time", "sleep")(0.3)
            gevent.sleep(0.05)
            if blocks:
                break
        if not pid:
            os._exit(len(blocks))
        print(len(blocks))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        try:
            gevent.event.Event().wait()
        except gevent.exceptions.LoopExit:
            print("ended")
        """
    done = subprocess.run(run_python(code), capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.split() == ["1", "ended"]


def test_the_advice_names_the_line_and_the_remedy():
    block = Block(0.5234, "locustfile.py", 12, "get_widget", "reply = lib.fetch()", "")
    advice = block.advice()
    assert "blocked for 0.52 s at locustfile.py:12 (in get_widget" in advice
    assert '"reply = lib.fetch()"' in advice
    assert 'run="thread"' in advice
    assert ': "' not in Block(1, "a.py", 1, "f", "", "").advice().split(";")[0]
    assert "via read (b.py:3)" in Block(1, "a.py", 1, "f", "", "read (b.py:3)").advice()


class TestDebugger:
    @pytest.fixture(autouse=True)
    def nothing_traces(self, monkeypatch):
        monkeypatch.setattr(sys, "gettrace", lambda: None)
        monkeypatch.delitem(sys.modules, "pydevd", raising=False)

    def test_none_is_attached(self):
        assert not debugger_attached()

    def test_a_trace_function_is_one(self, monkeypatch):
        monkeypatch.setattr(sys, "gettrace", lambda: print)
        assert debugger_attached()

    def test_pydevd_is_one(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pydevd", sys)
        assert debugger_attached()

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with 3.12")
    def test_a_monitoring_tool_is_one(self):
        sys.monitoring.use_tool_id(sys.monitoring.DEBUGGER_ID, "test")
        try:
            assert debugger_attached()
        finally:
            sys.monitoring.free_tool_id(sys.monitoring.DEBUGGER_ID)
