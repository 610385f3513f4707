"""The watch over what tests leave behind, tried on tests that do: it must be able to say no."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

UNTIDY = """
import subprocess, sys
import gevent, pytest
from gevent import socket
from gevent.monkey import get_original

from . import conftest

conftest.WITHIN = 3.0  # each test that leaves something waits for so long
kept = []
start_thread = get_original("_thread", "start_new_thread")
native_sleep = get_original("time", "sleep")

def sleep_natively(seconds):
    native_sleep(seconds)

def start_sleeper(seconds):
    running = []
    start_thread(lambda: (running.append(1), sleep_natively(seconds)), ())
    while not running:
        native_sleep(0.001)

def test_leaves_a_greenlet():
    kept.append(gevent.spawn(gevent.sleep, 60))

def test_leaves_a_descriptor():
    kept.append(socket.socket())

def test_leaves_a_thread():
    start_sleeper(60)

@pytest.mark.leaves_native_threads
def test_may_leave_a_thread():
    start_sleeper(60)

def test_leaves_a_child():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_lets_its_things_end_by_themselves():
    start_sleeper(0.1)
    kept.append(gevent.spawn(gevent.sleep, 0.1))
    unreachable = socket.socket()
    unreachable.close()

def test_uses_the_pool_of_the_hub():
    busy = [gevent.get_hub().threadpool.spawn(sleep_natively, 0.05) for _ in range(3)]
    gevent.joinall(busy)

def test_fails_from_another_greenlet():
    gevent.spawn(pytest.fail, "said elsewhere")
    gevent.sleep(60)

@pytest.mark.timeout(3)
def test_waits_for_ever():
    gevent.event.Event().wait()
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The words of a pytest run over the tests above, under this folder's conftest."""
    folder = tmp_path_factory.mktemp("untidy")
    tests = folder / "tests"
    tests.mkdir()
    for name in ("conftest.py", "ports.py", "results_schema.py", "sharing.py"):
        shutil.copy(Path(__file__).with_name(name), tests)
    shutil.copy(Path(__file__).parents[1] / "pyproject.toml", folder)
    (tests / "test_untidy.py").write_text(UNTIDY)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250)
    return run.stdout


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("test_leaves_a_greenlet", "greenlet <Greenlet"),
        ("test_leaves_a_descriptor", "descriptor "),
        ("test_leaves_a_thread", "native thread at "),
        ("test_leaves_a_child", "child process "),
    ],
)
def test_what_is_left_behind_fails_the_test_that_left_it(report, name, named):
    if named in ("descriptor ", "child process ") and not Path("/proc/self/fd").exists():
        pytest.skip("this system has no /proc to see them in")
    assert f"ERROR tests/test_untidy.py::{name} " in report
    left = re.search(rf"ERROR at teardown of {name} _+\nthe test left behind:\n  (.*)", report)
    assert left is not None
    assert left[1].startswith(named)


@pytest.mark.parametrize(
    "name",
    [
        "test_may_leave_a_thread",
        "test_lets_its_things_end_by_themselves",
        "test_uses_the_pool_of_the_hub",
    ],
)
def test_what_ends_or_may_stay_is_no_failure(report, name):
    assert name not in report


def test_a_failure_in_another_greenlet_fails_the_test(report):
    assert "FAILED tests/test_untidy.py::test_fails_from_another_greenlet - Failed: said" in report


def test_a_test_that_waits_in_the_hub_for_ever_is_ended(report):
    assert "FAILED tests/test_untidy.py::test_waits_for_ever - Failed: Timeout" in report
