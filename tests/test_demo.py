"""``protouser demo`` as its users run it: from outside, as a process with a process of its own."""

from __future__ import annotations

import locust  # noqa: F401  first: it patches the standard library for gevent

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from io import StringIO
from pathlib import Path
from time import perf_counter

import gevent
import psutil
import pytest

from protouser.demo._part import find_parts
from protouser.demo._progress import Bar, Lines, Moment

ROWS = {
    ("WidgetMaker", "get_widget"),
    ("asyncio", "look_up"),
    ("grpc", "connect"),
    ("grpc", "demo.Greeter/Hello"),
    ("grpc", "demo.Greeter/Talk"),
    ("mqtt", "connect"),
    ("mqtt", "message"),
    ("mqtt", "publish"),
    ("mqtt", "subscribe"),
    ("sqlite3", "total"),
    ("sqlite3", "transfer"),
    ("tcp", "connect"),
    ("tcp", "echo"),
    ("udp", "connect"),
    ("udp", "echo"),
    ("udp", "report"),
    ("ws", "connect"),
    ("ws", "echo"),
    ("ws", "tick"),
}
WITHIN = 60.0
MOMENT = Moment(elapsed=5.0, calls=1234, rate=250.4, failures=30, unexpected=0)


@pytest.fixture(scope="module", autouse=True)
def installed():
    """The command and its parts are found through the metadata of an installation."""
    try:
        distribution("protouser")
    except PackageNotFoundError:
        pytest.skip("protouser is not installed here; try: pip install -e .")


@dataclass
class Demo:
    """A running demonstration, and what it had while it ran."""

    process: subprocess.Popen[str]
    report: Path
    children: list[psutil.Process] = field(default_factory=list)
    ports: set[int] = field(default_factory=set)
    stdout: str = ""
    stderr: str = ""

    def wait_until_it_calls(self) -> None:
        """Wait until each server has a user, and note all processes and ports."""
        wait_for(self._is_connected)

    def finish(self) -> int:
        """Wait for the end and return the exit code."""
        self.stdout, self.stderr = self.process.communicate(timeout=200)
        return self.process.returncode

    def left_behind(self) -> list[str]:
        """What is still there."""
        processes = [str(child) for child in self.children if is_alive(child)]
        return processes + [f"port {port}" for port in self.ports if is_open(port)]

    def rows(self) -> set[tuple[str, str]]:
        """Type and name of every row in the table, and every other line's first two words."""
        lines = (line.split() for line in self.stdout.splitlines() if line[:1].strip())
        return {(words[0], words[1]) for words in lines if len(words) > 1}

    def _is_connected(self) -> object:
        assert self.process.poll() is None, self.process.communicate()
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        links = list(self._links())
        self.ports = {link.laddr.port for link in links if link.status == psutil.CONN_LISTEN}
        busy = {link.laddr.port for link in links if link.status == psutil.CONN_ESTABLISHED}
        return self.ports and self.ports <= busy

    def _links(self) -> Iterator[psutil._common.pconn]:
        for child in self.children:
            yield from child.net_connections(kind="tcp")


def wait_for(condition: Callable[[], object]) -> None:
    until = perf_counter() + WITHIN
    while not condition():
        assert perf_counter() < until, f"{condition} did not come true"
        gevent.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; one whose parent was killed may wait for init to notice that it ended."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def demo(folder: Path, *arguments: str, path: Path | None = None) -> Iterator[Demo]:
    """A demonstration in a folder of its own; ``path`` is a further place to import from."""
    report = folder / "report.html"
    command = [sys.executable, "-m", "protouser", "demo", "--report", str(report), *arguments]
    places = [str(path)] if path else []
    places += [place for place in [os.environ.get("PYTHONPATH")] if place]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Demo(process, report)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Demo:
    """A demonstration that ran to its end."""
    with demo(tmp_path_factory.mktemp("demo"), "--seconds", "3") as running:
        running.wait_until_it_calls()
        running.finish()
    return running


def test_it_ends_well(finished):
    assert finished.process.returncode == 0, finished.stdout + finished.stderr
    assert "NOT AS DESIGNED" not in finished.stdout


def test_the_table_has_the_rows_of_every_part(finished):
    assert finished.rows() >= ROWS, finished.stdout


def test_the_tables_fit_a_hundred_and_twenty_columns(finished):
    tables = finished.stdout.partition("client-limited:")[0]  # it says all that there is to say
    assert [line for line in tables.splitlines() if len(line) > 119] == []


def test_failures_on_purpose_are_said_to_be_that(finished):
    assert "WidgetMaker get_widget fails on purpose" in finished.stdout
    assert "Traceback" not in finished.stderr


def test_the_report_is_locusts(finished):
    assert str(finished.report) in finished.stdout
    assert "get_widget" in finished.report.read_text(encoding="utf-8")


def test_without_a_terminal_there_are_lines_and_no_control_characters(finished):
    assert re.search(r"^ +\d+ of 3 s ", finished.stderr, re.M)
    assert "\x1b" not in finished.stderr + finished.stdout


def test_nothing_is_left_behind(finished):
    assert finished.children
    assert finished.ports
    assert finished.left_behind() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ended_early_it_still_says_what_it_measured(tmp_path, number, code):
    with demo(tmp_path, "--seconds", "60") as running:
        running.wait_until_it_calls()
        running.process.send_signal(number)
        assert running.finish() == code
    assert running.rows() >= {("tcp", "connect")}, running.stdout
    assert "ended early" in running.stdout
    assert "Traceback" not in running.stderr
    assert running.report.exists()
    assert running.left_behind() == []


def test_its_servers_end_when_it_is_killed(tmp_path):
    with demo(tmp_path, "--seconds", "60") as running:
        running.wait_until_it_calls()
        running.process.kill()
        running.finish()
    wait_for(lambda: not running.left_behind())


@pytest.fixture
def foreign_parts(tmp_path) -> Path:
    """A distribution with parts that cannot run, each for a reason of its own, and one that can."""
    parts = {
        "broken": "1 / 0",
        "failing": """
            from locust import User, constant, task
            from protouser import ProtocolUser
            from protouser.demo import Part

            class FailingUser(ProtocolUser):
                protocol = "failing"
                wait_time = constant(0.1)

                @task
                def fail(self):
                    with self.measure("fail") as call:
                        call.failure("nobody wanted this")

            PART = Part(lambda addresses: [FailingUser])
        """,
        "lacking": "import nowhere_to_be_found",
        "unserved": """
            from pathlib import Path
            from protouser.demo import Part
            PART = Part(lambda addresses: [], server=Path(__file__).with_name("unserved_server.py"))
        """,
    }
    for name, text in parts.items():
        (tmp_path / f"foreign_{name}.py").write_text(textwrap.dedent(text))
    (tmp_path / "unserved_server.py").write_text("import not_there_either")
    metadata = tmp_path / "foreign-1.0.dist-info"
    metadata.mkdir()
    extra = "Provides-Extra: lacking"
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n{extra}\n"
    )
    entries = [f"{name} = foreign_{name}:PART" for name in parts]
    (metadata / "entry_points.txt").write_text("\n".join(["[protouser.demo]", *entries]))
    return tmp_path


def test_a_part_that_cannot_run_is_named_and_harms_no_other(tmp_path, foreign_parts):
    with demo(tmp_path, "--seconds", "2", path=foreign_parts) as running:
        assert running.finish() == 1
    said = running.stderr.splitlines()
    assert (
        "without lacking: needs 'nowhere_to_be_found', which is not installed;"
        " try: pip install 'foreign[lacking]'"
    ) in said
    assert (
        "without unserved: needs 'not_there_either', which is not installed;"
        " try: pip install foreign"
    ) in said
    complaints = [line for line in running.stdout.splitlines() if "NOT AS DESIGNED" in line]
    assert len(complaints) == 2, running.stdout
    assert "broken: foreign_broken: ZeroDivisionError: division by zero" in complaints[0]
    assert "failing fail failed" in complaints[1]
    assert "nobody wanted this" in complaints[1]
    assert running.rows() >= {("tcp", "connect"), ("failing", "fail")}


def test_a_report_that_cannot_be_written_is_refused_before_the_test(tmp_path):
    with demo(tmp_path, "--report", "no/such/folder/report.html") as running:
        assert running.finish() == 2
    assert "no/such/folder" in running.stderr


def test_no_server_imports_what_is_patched():
    """A server file runs in a process without gevent, and is no module of a package there."""
    for found in find_parts()[0]:
        server = found.part.server
        assert server is None or not imported_by(server) & {"protouser", "locust", "gevent"}


def imported_by(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_bytes())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def test_lines_come_every_five_seconds(capsys):
    lines = Lines()
    lines.begin(20)
    for quarter in range(80):
        lines.show(Moment(quarter / 4, quarter, 4.0, 0, 0))
    lines.end()
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["5", "10", "15"]


@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_and_the_figures_fit_one_line_of_a_terminal(width):
    console = pytest.importorskip("rich.console")
    screen = StringIO()
    bar = Bar(console.Console(file=screen, force_terminal=True, width=width, color_system=None))
    bar.begin(20)
    bar.show(MOMENT)
    bar.end()
    *_, shown = [
        line for line in screen.getvalue().replace("\r", "\n").splitlines() if "/s" in line
    ]
    assert "━" in shown
    assert "5 of 20 s  1,234 calls  250/s  30 failed on purpose" in shown


def test_unexpected_failures_stand_out():
    assert Moment(1.0, 10, 10.0, 3, 1).counts() == "10 calls  10/s  3 failed, 1 UNEXPECTED"
    assert Moment(1.0, 10, 10.0, 0, 0).counts() == "10 calls  10/s  0 failed"
