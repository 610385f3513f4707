"""What every test gets: Locust's patches, and a watch over what a test leaves behind."""

from __future__ import annotations

import locust  # noqa: F401  first: it patches the standard library for gevent
from locust.env import Environment

import contextlib
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any
from weakref import WeakSet

import gevent
import pytest
from gevent.greenlet import Greenlet
from hypothesis import HealthCheck, settings

from protouser.feeders import _feeding

from .ports import free_port
from .results_schema import check_folder
from .sharing import ALONE, FOLDER, run_shared, split

WITHIN = 20.0  # seconds that what ends by itself may take to be gone
SHARED_IN = pytest.StashKey[str | None]()
RUNS_ALONE = pytest.StashKey[bool]()
settings.register_profile(
    "tests",
    deadline=None,  # how long an example takes says how busy the machine is
    suppress_health_check=[HealthCheck.too_slow],
    # CI asks about a change: it has the same examples each time, and others look for new ones
    derandomize="PROTOUSER_CI" in os.environ,
)
settings.load_profile("tests")
PROCESS = Path("/proc/self")  # not there on macOS: only greenlets and threads are watched then


def pytest_configure(config: pytest.Config) -> None:
    """Open what gevent keeps for the life of the process, so that it is no test's."""
    config.stash[SHARED_IN] = os.environ.pop(FOLDER, None)  # not for what the tests start,
    config.stash[RUNS_ALONE] = os.environ.pop(ALONE, None) is not None
    os.environ.pop("PYTEST_ADDOPTS", None)  # nor this, which pytest has read by now
    # A shell's background job ignores it, and so would every process that a test interrupts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hub = gevent.get_hub()
    # The alarm of pytest-timeout, and pytest.fail, may come in another greenlet than the test's.
    hub.SYSTEM_ERROR = (*hub.SYSTEM_ERROR, pytest.fail.Exception)
    hub.threadpool.apply(int)
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take apart what measures time, where several processes do one run."""
    alone = config.stash[RUNS_ALONE]
    if alone or config.stash[SHARED_IN] is not None:
        items[:], others = split(items, alone)
        config.hook.pytest_deselected(items=others)


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run all tests, or those that no other process of the same run takes."""
    folder = session.config.stash[SHARED_IN]
    if folder is None:
        return None
    run_shared(session, Path(folder))
    return True


@dataclass(frozen=True)
class Belongings:
    """What the process has at one moment."""

    descriptors: frozenset[tuple[str, str]]
    children: frozenset[str]
    threads: dict[int, str]

    @classmethod
    def now(cls) -> Belongings:
        """Look at the process; workers of the hub's own pool do not count as native threads."""
        # By their idents, not their number: one of them may be there before Python has its frame.
        pool = {
            worker._thread_ident for worker in list(gevent.get_hub().threadpool._worker_greenlets)
        }
        frames = sys._current_frames().items()
        threads = {ident: str(frame) for ident, frame in frames if ident not in pool}
        return cls(frozenset(_descriptors()), frozenset(_children()), threads)

    def not_in(self, before: Belongings, with_threads: bool) -> list[str]:
        """Name what is here and was not before."""
        named = [f"child process {pid}" for pid in self.children - before.children]
        if not with_threads:
            return named
        opened = sorted(self.descriptors - before.descriptors)
        named += [f"descriptor {number}, {target}" for number, target in opened]
        started = [place for ident, place in self.threads.items() if ident not in before.threads]
        return named + [f"native thread at {place}" for place in started]


def _descriptors() -> Iterator[tuple[str, str]]:
    with contextlib.suppress(FileNotFoundError):
        for number in os.listdir(PROCESS / "fd"):
            with contextlib.suppress(FileNotFoundError):  # the listing's own
                yield number, os.readlink(PROCESS / "fd" / number)


def _children() -> Iterator[str]:
    for children in PROCESS.glob("task/*/children"):
        with contextlib.suppress(OSError):
            yield from children.read_text().split()


@pytest.fixture(autouse=True)
def _no_feeder_of_another_test() -> Iterator[None]:
    before = set(_feeding._declared)
    yield
    # a class is garbage only when the collector comes round, and so is the feeder that it names
    for feeder in set(_feeding._declared) - before:
        _feeding._declared.discard(feeder)


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a descriptor, a child process, a greenlet or a native thread.

    Greenlets are those spawned since the test began. With ``@pytest.mark.leaves_native_threads``
    threads may stay, and descriptors, since a thread may hold some.
    """
    spawned: WeakSet[Greenlet[..., Any]] = WeakSet()
    noted = spawned.add
    Greenlet.add_spawn_callback(noted)
    with_threads = request.node.get_closest_marker("leaves_native_threads") is None
    before = Belongings.now()
    yield
    Greenlet.remove_spawn_callback(noted)

    def left() -> list[str]:
        alive = [f"greenlet {greenlet!r}" for greenlet in list(spawned) if not greenlet.ready()]
        return alive + Belongings.now().not_in(before, with_threads)

    if _still(left):
        named = "\n  ".join(left())
        pytest.fail(f"the test left behind:\n  {named}", pytrace=False)


def _still(left: Callable[[], list[str]]) -> bool:
    """Whether something is left, after what is unreachable and what ends by itself had a chance."""
    if not left():
        return False
    gc.collect()
    until = perf_counter() + WITHIN
    while left():
        if perf_counter() > until:
            return True
        gevent.sleep(0.01)
    return False


@pytest.fixture(scope="session")
def debian() -> Callable[[str, object], None]:
    """Ask for what only a package of Debian brings: without it a test is skipped, and says so.

    CI installs these packages where there is apt-get; there a missing one is a failure.
    """

    def need(package: str, there: object) -> None:
        if there:
            return
        text = f"a real server is missing; try: apt-get install {package}"
        if "PROTOUSER_CI" in os.environ and shutil.which("apt-get"):
            pytest.fail(text, pytrace=False)
        pytest.skip(text)

    return need


@pytest.fixture
def make_locust_env() -> Iterator[Callable[..., Environment]]:
    """Make Locust environments, as many as a test needs; what they run ends with the test."""
    with contextlib.ExitStack() as stack:

        def make(**arguments: Any) -> Environment:
            environment = Environment(**arguments)
            stack.callback(_end, environment)
            return environment

        yield make


@pytest.fixture
def locust_env(make_locust_env: Callable[..., Environment]) -> Environment:
    """A Locust environment with events of its own, and no runner yet."""
    return make_locust_env()


def _end(environment: Environment) -> None:
    """End web UI and runner, with the sockets and the context that Locust leaves open."""
    if environment.web_ui is not None:
        environment.web_ui.stop()
    runner = environment.runner
    if runner is None:
        return
    runner.quit()
    for end in (getattr(runner, "server", None), getattr(runner, "client", None)):
        if end is not None:
            end.close(linger=0)
            end.socket.context.term()


@dataclass(frozen=True)
class LocustRun:
    """How a run of the ``locust`` command ended, and its statistics as ``--json-file`` has them."""

    exit_code: int
    stdout: str
    stderr: str
    stats: list[dict[str, Any]]

    def row(self, type_: str, name: str) -> dict[str, Any]:
        """The one row of this type and name."""
        rows = [row for row in self.stats if (row["method"], row["name"]) == (type_, name)]
        assert len(rows) == 1, f"{len(rows)} rows {type_} {name} in {self}"
        return rows[0]


@pytest.fixture
def run_locust(tmp_path: Path) -> Callable[..., LocustRun]:
    """Run ``locust -f FILE ARGUMENTS`` in a folder of its own, without a UI unless asked for.

    ``file`` is a path, or the text of a locustfile. Nothing of the run is alive when it returns;
    longer than ``timeout`` seconds is an error that shows the output.
    """

    def run(file: Path | str, *arguments: str, timeout: float = 200) -> LocustRun:
        if isinstance(file, str):
            text, file = file, tmp_path / "locustfile.py"
            file.write_text(textwrap.dedent(text))
        stem = f"stats-{len(list(tmp_path.glob('stats-*')))}"  # Locust appends .json
        command = [sys.executable, "-m", "locust", "-f", str(file), "--json-file", stem]
        if not {"--worker", "--autostart", "--headless"}.intersection(arguments):
            command.append("--headless")
        if "--processes" in arguments:  # not the usual port, where another run may listen
            port = str(free_port())
            command += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
            command += ["--master-host", "127.0.0.1", "--master-port", port]
        ended = _run_and_end([*command, *arguments], tmp_path, timeout)
        check_folder(tmp_path)
        written = tmp_path / f"{stem}.json"
        return LocustRun(*ended, json.loads(written.read_text()) if written.exists() else [])

    return run


def _run_and_end(command: list[str], folder: Path, timeout: float) -> tuple[int, str, str]:
    """Run ``command``, and end all that it started, in time or not."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**ours, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            named = f"{' '.join(command)}: not done in {timeout} s\n{stdout}\n{stderr}"
            pytest.fail(named, pytrace=False)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, stdout, stderr
