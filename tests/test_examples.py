"""Every example does what the head of its file says; only ports and the duration are the tests'."""

from __future__ import annotations

import ast
import contextlib
import csv
import importlib.util
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .ports import free_port

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
BACKENDS = sorted(path.parent.name for path in EXAMPLES.glob("*/backend.py"))
USERS = 3


class Backend:
    """An example's server in a process of its own.

    Attributes:
        urls: where it listens, by scheme.
        answered: what it has answered when it ended, by the word for it.
    """

    def __init__(self, example: str, *arguments: str) -> None:
        command = [sys.executable, str(EXAMPLES / example / "backend.py"), "--port", "0"]
        self.process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        urls = self.ready.removeprefix("listening on ").split()
        self.urls = {url.partition("://")[0]: url for url in urls}
        self.answered: dict[str, int] = {}

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        farewell, _ = self.process.communicate(timeout=60)
        self.answered = {word: int(count) for count, word in re.findall(r"(\d+) (\w+)", farewell)}
        return self.process.returncode


@contextlib.contextmanager
def backend(example: str, *arguments: str) -> Iterator[Backend]:
    """Run a server for a block; at its end it has ended, and said what it answered."""
    server = Backend(example, *arguments)
    try:
        yield server
        assert server.end() == 0
    finally:
        server.process.kill()
        server.process.communicate()


def commands(file: Path) -> list[list[str]]:
    """The shell lines under "Run it:" in the head of a file."""
    head = ast.get_docstring(ast.parse(file.read_bytes())) or ""
    lines = head.partition("Run it:\n")[2].splitlines()
    return [shlex.split(line) for line in lines if line.startswith("    ")]


@pytest.fixture
def run_example(run_locust) -> Callable:
    """Run the locustfile of an example with the arguments that its head names, and more."""

    def run(example: str, *arguments: str):
        file = EXAMPLES / example / "locustfile.py"
        before, command = commands(file)
        server = f"examples/{example}/backend.py"
        assert before[-2:] == ["python", server] if file.with_name("backend.py").exists() else True
        assert command[:3] == ["locust", "-f", f"examples/{example}/locustfile.py"]
        assert command[3:] == ["--headless", "-u", f"{USERS}", "-r", f"{USERS}", "-t", "10s"]
        ended = run_locust(file, *command[3:-1], "4s", "--stop-timeout", "5", *arguments)
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    return run


def successes(run, *names: str) -> int:
    """How often calls succeeded; the run has no other rows than these, and no failures."""
    assert (run.exit_code, sum(row["num_failures"] for row in run.stats)) == (0, 0), run.stderr
    assert {row["name"] for row in run.stats} == set(names)
    assert all(row["num_requests"] for row in run.stats)
    return sum(row["num_requests"] for row in run.stats)


def assert_both_counted(ours: int, theirs: int) -> None:
    """The end of the test may cut one call of each user short after the server has seen it."""
    assert ours <= theirs <= ours + USERS


def test_widget_maker_finds_the_bad_widgets(run_example, tmp_path):
    run = run_example("widget_maker", "--csv", str(tmp_path / "run"))
    assert run.exit_code == 1
    assert {row["name"] for row in run.stats} == {"get_widget", "make_widget"}
    with (tmp_path / "run_failures.csv").open(newline="") as file:
        failures = {row["Name"]: row["Error"] for row in csv.DictReader(file)}
    assert failures
    reasons = {"get_widget": "check failed: got 'bad'", "make_widget": "bad widget"}
    assert [name for name in failures if reasons[name] not in failures[name]] == []
    assert sum(row["num_requests"] - row["num_failures"] for row in run.stats) > 0


def test_event_hook_hears_of_every_ticket(run_example):
    with backend("event_hook") as server:
        run = run_example("event_hook", "--host", server.urls["tcp"])
    bought = successes(run, "connect", "buy") - run.row("tcp", "connect")["num_requests"]
    assert f"tickets sold: {bought:,}\n" in run.stdout + run.stderr
    assert_both_counted(bought, server.answered["tickets"])


def test_tcp_echo_sends_what_it_counts(run_example):
    with backend("tcp_echo") as server:
        run = run_example("tcp_echo", "--host", server.urls["tcp"])
    successes(run, "connect", "request", "send", "receive", "question")
    sent = sum(run.row("tcp", name)["num_requests"] for name in ("request", "send", "question"))
    assert_both_counted(sent, server.answered["lines"])


def test_blocking_library_books_what_it_counts(run_example, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run = run_example("blocking_library")
    successes(run, "book", "balance", "scrypt")
    with contextlib.closing(sqlite3.connect(tmp_path / "protouser_ledger.sqlite3")) as database:
        (booked,) = database.execute("SELECT SUM(amount) FROM entries").fetchone()
    assert_both_counted(run.row("sqlite", "book")["num_requests"], booked)


def test_asyncio_client_counts_each_command_it_awaits(run_example):
    with backend("asyncio_client") as server:
        url = server.urls["tcp"].replace("tcp", "store")
        run = run_example("asyncio_client", "--host", url)
    successes(run, "connect", "put", "get", "scan", "two puts and a get")
    made = sum(run.row("store", name)["num_requests"] for name in ("put", "get", "scan"))
    assert_both_counted(made, server.answered["commands"])


def test_hybrid_speaks_both_protocols(run_example):
    with backend("hybrid", "--echo-port", "0") as server:
        run = run_example("hybrid", "--host", server.urls["http"], "--echo", server.urls["tcp"])
    successes(run, "/", "connect", "request")
    assert_both_counted(run.row("GET", "/")["num_requests"], server.answered["pages"])
    assert_both_counted(run.row("tcp", "request")["num_requests"], server.answered["lines"])


def test_grpc_greeter_calls_generated_stubs(run_example):
    with backend("grpc_greeter") as server:
        run = run_example("grpc_greeter", "--host", server.urls["grpc"])
    methods = ("SayHello", "SayHelloOften", "SayHelloToAll", "SayHelloToEach")
    names = [f"helloworld.Greeter/{method}" for method in methods]
    successes(run, "connect", "SayHello without a name", *names)
    made = sum(run.row("grpc", name)["num_requests"] for name in names)
    assert_both_counted(made, server.answered["calls"])


def test_grpc_reflection_needs_no_generated_code(run_example):
    with backend("grpc_reflection") as server:
        run = run_example("grpc_reflection", "--host", server.urls["grpc"])
    names = [f"chat.Chat/{method}" for method in ("Join", "Talk")]
    successes(run, "connect", *names)
    made = sum(run.row("grpc", name)["num_requests"] for name in names)
    assert_both_counted(made, server.answered["calls"])


def test_websocket_chat_hears_what_it_says(run_example):
    with backend("websocket_chat") as server:
        run = run_example("websocket_chat", "--host", server.urls["ws"])
    successes(run, "connect", "say", "hear others")
    said = run.row("ws", "say")["num_requests"]
    assert_both_counted(said, server.answered["messages"])


def test_mqtt_sensor_publishes_what_it_counts(run_example):
    with backend("mqtt_sensor") as server:
        run = run_example("mqtt_sensor", "--host", server.urls["mqtt"])
    names = [f"publish sensors/{{id}}/{word}" for word in ("temperature", "alive", "alarm")]
    successes(run, "connect", "subscribe settings/+", *names)
    made = sum(run.row("mqtt", name)["num_requests"] for name in names)
    assert_both_counted(made, server.answered["messages"])


def test_mqtt_commands_are_obeyed(run_example):
    with backend("mqtt_commands") as server:
        run = run_example("mqtt_commands", "--host", server.urls["mqtt"])
    publish = "publish devices/{number}/state"
    successes(run, "connect", "subscribe commands/+", "message commands/+", "ack", publish)
    assert_both_counted(run.row("mqtt", "ack")["num_requests"], server.answered["commands"])


def two_workers() -> list[str]:
    """Options for a master and two workers that find each other on a port of their own."""
    port = str(free_port())
    where = ["--master-bind-host", "127.0.0.1", "--master-host", "127.0.0.1"]
    return ["--processes", "2", *where, "--master-bind-port", port, "--master-port", port]


@pytest.mark.parametrize("workers", [list, two_workers])
def test_csv_accounts_uses_each_account_once(run_example, workers):
    with (EXAMPLES / "csv_accounts" / "accounts.csv").open(newline="") as file:
        accounts = len(list(csv.DictReader(file)))
    with backend("csv_accounts") as server:
        more = ["-t", "90s", *workers()]  # it ends with the data, long before
        run = run_example("csv_accounts", "--host", server.urls["tcp"], *more)
    successes(run, "connect", "login")
    assert run.row("tcp", "login")["num_requests"] == accounts
    assert server.answered == {"accounts": accounts, "logins": 0}


def test_udp_echo_sends_what_it_counts(run_example):
    with backend("udp_echo") as server:
        run = run_example("udp_echo", "--host", server.urls["udp"])
    successes(run, "connect", "request", "reading", "question")
    asked = sum(run.row("udp", name)["num_requests"] for name in ("request", "question"))
    assert_both_counted(asked, server.answered["questions"])
    assert_both_counted(run.row("udp", "reading")["num_requests"], server.answered["readings"])


def test_hybrid_protocols_speaks_three_of_them(run_example):
    with backend("hybrid_protocols") as server:
        urls = {"lobby": "tcp", "field": "udp", "chat": "ws"}
        told = [
            word for name, scheme in urls.items() for word in (f"--{name}", server.urls[scheme])
        ]
        run = run_example("hybrid_protocols", *told)
    connects = [row for row in run.stats if row["name"] == "connect"]
    assert {row["method"] for row in connects} == set(urls.values())
    successes(run, "connect", "login", "move", "say", "meet")
    for type_, name, word in (("udp", "move", "moves"), ("ws", "say", "words")):
        assert_both_counted(run.row(type_, name)["num_requests"], server.answered[word])


def test_proxy_passes_on_what_the_users_count(run_example):
    with backend("proxy", "--echo-port", "0", "--proxy-port", "0") as server:
        urls = server.urls
        where = ["--host", urls["http"], "--echo", urls["tcp"]]
        run = run_example("proxy", *where, "--proxy", urls["proxy"].replace("proxy", "http"))
    successes(run, "/", "/shop", "connect", "request")
    pages = sum(run.row("GET", name)["num_requests"] for name in ("/", "/shop"))
    assert server.answered["requests"] == server.answered["pages"]
    assert server.answered["tunnels"] == run.row("tcp", "connect")["num_requests"]
    assert_both_counted(pages, server.answered["requests"])
    assert_both_counted(run.row("tcp", "request")["num_requests"], server.answered["lines"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the third-party adapter in it, as pip installs it."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if importlib.util.find_spec("hatchling"):
        pip.append("--no-build-isolation")
    source = EXAMPLES / "third_party_adapter"
    run = subprocess.run(
        [*pip, "--no-deps", "--target", str(folder), str(source)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture
def with_adapter(installed, monkeypatch) -> None:
    """Let the processes that a test starts see the third-party adapter."""
    paths = [str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.mark.usefixtures("with_adapter")
def test_third_party_adapter_is_found_by_its_scheme(run_example):
    with backend("third_party_adapter") as server:
        run = run_example("third_party_adapter", "--host", server.urls["redis"])
    made = successes(run, "connect", "INCR", "SET", "GET")
    made -= run.row("redis", "connect")["num_requests"]
    assert_both_counted(made, server.answered["commands"])


@pytest.mark.usefixtures("with_adapter")
def test_third_party_adapter_is_listed():
    command = [sys.executable, "-m", "protouser", "adapters"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stderr
    assert re.search(r"^redis +.*protouser[-_]redis", run.stdout, re.MULTILINE), run.stdout


def passed(*arguments: str) -> int:
    """Run pytest as the head of an example says; return how many tests passed, and none failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stdout + run.stderr
    found = re.search(r"(\d+) passed", run.stdout)
    assert found is not None
    return int(found[1])


@pytest.mark.usefixtures("with_adapter")
def test_third_party_adapter_proves_itself():
    folder = "examples/third_party_adapter"
    command, _ = commands(ROOT / folder / "tests" / "test_contract.py")
    assert command == ["pytest", folder]
    assert passed(folder) > 20


def test_pytest_functional_passes():
    folder = "examples/pytest_functional"
    _, command = commands(ROOT / folder / "test_echo.py")
    assert command == ["pytest", folder]
    assert passed(folder) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("example", BACKENDS)
def test_a_backend_says_where_it_listens_and_ends_on_a_signal(example, number):
    more = ["--echo-port", "0"] if example in ("hybrid", "proxy") else []
    more += ["--proxy-port", "0"] if example == "proxy" else []
    with contextlib.ExitStack() as stack:
        server = Backend(example, *more)
        stack.callback(server.process.communicate)
        stack.callback(server.process.kill)
        assert re.fullmatch(r"listening on( ?[a-z]+://127\.0\.0\.1:[1-9]\d*)+\n", server.ready)
        assert server.end(number) == 0
        assert set(server.answered.values()) == {0}


def test_the_index_names_every_example():
    named = re.findall(r"^\| \[`(\w+)`\]\((\S+)\) \|", (EXAMPLES / "README.md").read_text(), re.M)
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert {name for name, _ in named} == folders
    assert all((EXAMPLES / target).is_file() for _, target in named)
