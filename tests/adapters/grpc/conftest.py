"""The servers that the gRPC tests call, each in a process of its own, and their stubs."""

from __future__ import annotations

from locust.env import Environment

import contextlib
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gevent
import pytest
import trustme

from protouser import attach
from protouser.testing import capture

# Servers are started here while clients are open, which their start does not survive each time with
# grpc's handlers of forks; see GrpcClient. grpc looks when it is imported.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("GRPC_ENABLE_FORK_SUPPORT", "0")
    importlib.import_module("grpc")

SERVERS = Path(__file__).parent / "servers"
WITHIN = 30.0  # only a hang takes longer


class Greeter:
    """A running ``servers/greeter.py``.

    Attributes:
        url: where it listens, "grpc://127.0.0.1:..." or "grpcs://...".
    """

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVERS / "greeter.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.host = "127.0.0.1"
        self.port = int(self._line())
        scheme = "grpcs" if "--tls" in arguments else "grpc"
        self.url = f"{scheme}://{self.host}:{self.port}"

    def stats(self) -> dict[str, Any]:
        """What it has seen: calls, cancelled, active, connections, peers, by_method."""
        assert self.process.stdin is not None
        self.process.stdin.write("stats\n")
        self.process.stdin.flush()
        return dict(json.loads(self._line()))

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first stats of which the condition is true; too late is a failure that shows them."""
        stats = self.stats()
        with gevent.Timeout(WITHIN, False):
            while not condition(stats):
                gevent.sleep(0.01)
                stats = self.stats()
        assert condition(stats), stats
        return stats

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.kill()
        self.end()

    def end(self) -> None:
        """End it, if it still runs; its port is free then."""
        with self.process, contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
            self.process.communicate(timeout=2)
        self.process.kill()
        self.process.wait(timeout=WITHIN)

    def _line(self) -> str:
        assert self.process.stdout is not None
        with gevent.Timeout(WITHIN):
            line = self.process.stdout.readline()
        assert line, f"the server ended with code {self.process.wait(timeout=WITHIN)}"
        return str(line)


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Greeter]:
    server = Greeter(*arguments)
    try:
        yield server
    finally:
        server.end()


@pytest.fixture(scope="session")
def stubs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of greeter_pb2.py and greeter_pb2_grpc.py, for servers and other processes."""
    folder = tmp_path_factory.mktemp("stubs")
    places = [f"-I{SERVERS}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *places, "greeter.proto"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="session")
def stubs(stubs_folder: Path) -> tuple[ModuleType, ModuleType]:
    """The modules ``(greeter_pb2, greeter_pb2_grpc)``."""
    importlib.import_module("protouser_grpc")  # grpc is imported as users import it
    sys.path.insert(0, str(stubs_folder))
    try:
        names = ("greeter_pb2", "greeter_pb2_grpc")
        messages, services = (importlib.import_module(name) for name in names)
    finally:
        sys.path.remove(str(stubs_folder))
    return messages, services


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: ca.pem, server.pem and client.pem with key and chain, stranger.pem (another CA)."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "stranger.pem"))
    issued = {
        "server": authority.issue_cert("127.0.0.1", "localhost"),
        "client": authority.issue_cert("tester@example.org"),
    }
    for name, certificate in issued.items():
        pem = certificate.private_key_and_cert_chain_pem
        pem.write_to_path(str(folder / f"{name}.pem"))
    return folder


@pytest.fixture
def make_greeter(stubs_folder: Path) -> Iterator[Callable[..., Greeter]]:
    """Start servers with arguments of ``servers/greeter.py``; they end with the test."""
    with contextlib.ExitStack() as stack:

        def make(*arguments: str) -> Greeter:
            return stack.enter_context(running("--stubs", str(stubs_folder), *arguments))

        yield make


@pytest.fixture(scope="module")
def greeter(stubs_folder: Path) -> Iterator[Greeter]:
    """A server with reflection."""
    with running("--stubs", str(stubs_folder)) as server:
        yield server


@pytest.fixture(scope="module")
def greeter_tls(stubs_folder: Path, certificates: Path) -> Iterator[Greeter]:
    """A server with reflection and TLS."""
    chain = str(certificates / "server.pem")
    with running("--stubs", str(stubs_folder), "--tls", chain) as server:
        yield server


@pytest.fixture(params=["aio", "gevent"])
def engine(request: pytest.FixtureRequest) -> str:
    """The name of each engine."""
    return str(request.param)


@pytest.fixture
def environment() -> Environment:
    """Where clients report to."""
    return Environment()


@pytest.fixture
def reports(environment: Environment) -> Iterator[list[Any]]:
    """What was reported there."""
    with capture(environment) as reports:
        yield reports


@pytest.fixture
def client_of(
    environment: Environment, reports: list[Any], engine: str, greeter: Greeter
) -> Iterator[Callable[..., Any]]:
    """Open clients, of the greeter where no URL is given; their connects are not in the reports."""
    with contextlib.ExitStack() as stack:

        def opened(url: str = greeter.url, **options: Any) -> Any:
            kind = importlib.import_module("protouser_grpc").GrpcClient
            options = {"engine": engine, "timeout": WITHIN, **options}
            client = stack.enter_context(kind(url, session=attach(environment), **options))
            client.open()
            reports.clear()
            return client

        yield opened


@pytest.fixture
def client(client_of: Callable[..., Any]) -> Any:
    """A client of the greeter."""
    return client_of()


@pytest.fixture
def stub(client: Any, stubs: tuple[ModuleType, ModuleType]) -> Any:
    """Its generated stub."""
    return stubs[1].GreeterStub(client.channel)
