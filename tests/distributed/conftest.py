"""Real Locust processes: one alone, forked workers, or a master with separate workers."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.ports import free_port
from tests.results_schema import check_folder

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
PATIENCE = 100


class Locusts:
    """The processes of one test, and what the master wrote at its end."""

    def __init__(self, folder):
        self.folder = folder
        self.results_file = folder / "results.json"
        self.started = []
        self.port = free_port()

    def start(self, *options, locustfile=LOCUSTFILE, **environment):
        """A locust process in a group of its own; its output goes to a file."""
        log = self.folder / f"log{len(self.started)}.txt"
        if "--processes" in options:  # not the usual port, where another test may listen
            port = free_port()
            options = (*options, "--master-bind-host", "127.0.0.1", "--master-bind-port", port)
            options = (*options, "--master-host", "127.0.0.1", "--master-port", port)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "locust", "-f", str(locustfile), *map(str, options)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, **environment, "RESULTS": str(self.results_file)},
                start_new_session=True,
            )
        process.log = log
        self.started.append(process)
        return process

    def master(self, workers, *options, **environment):
        """A headless master that waits for this many workers."""
        expect = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", self.port]
        expect += ["--expect-workers", workers, "--headless", "--only-summary"]
        return self.start(*expect, *options, **environment)

    def worker(self, **environment):
        """One worker of that master, in an environment like the master's."""
        where = ["--worker", "--master-host", "127.0.0.1", "--master-port", self.port]
        return self.start(*where, **environment)

    def results(self):
        """What the master measured, once it has ended."""
        check_folder(self.folder)
        return json.loads(self.results_file.read_text())

    def logs(self):
        """What all processes have said so far."""
        return "\n".join(process.log.read_text() for process in self.started)

    def end(self):
        """Kill what still runs."""
        for process in self.started:
            _kill_group(process)


@pytest.fixture
def locusts(tmp_path):
    processes = Locusts(tmp_path)
    yield processes
    processes.end()


@pytest.fixture
def finish():
    """Wait for a process and say how it ended: its exit code, with its output on a surprise."""

    def wait(process, expected=0):
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = "still running"
        assert code == expected, process.log.read_text()
        return process.log.read_text()

    return wait


@pytest.fixture
def eventually(locusts):
    """Wait, with an end, until a condition holds."""

    def wait(condition, what="the condition"):
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline, f"{what} never came\n{locusts.logs()}"
            time.sleep(0.05)
        return found

    return wait


@pytest.fixture
def finish_when(eventually, finish):
    """End a run, as a signal from outside does, as soon as a condition holds; its output."""

    def wait(process, condition, what, expected=0):
        eventually(condition, what)
        process.terminate()
        return finish(process, expected)

    return wait


def _kill_group(process):
    for child in _family(process):
        child.kill()
    process.wait(60)


def _family(process):
    try:
        parent = psutil.Process(process.pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []
