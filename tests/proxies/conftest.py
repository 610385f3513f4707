"""Proxies that nobody here wrote, each in a process of its own, and servers behind them."""

from __future__ import annotations

from locust.env import Environment

import contextlib
import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import pytest
import trustme

from protouser import now
from protouser.testing import capture
from tests.ports import free_port

# Servers are started here while clients of gRPC may be open; grpc looks when it is imported.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("GRPC_ENABLE_FORK_SUPPORT", "0")
    importlib.import_module("grpc")

WITHIN = 60.0
USER, PASSWORD = "tester", "s3cret"  # tinyproxy takes letters and digits only


def eventually(condition, what):
    deadline = now() + WITHIN
    while not condition():
        assert now() < deadline, what
        gevent.sleep(0.01)


@dataclass
class RunningProxy:
    """A proxy, and the file that it writes its log to."""

    port: int
    log: Path
    process: subprocess.Popen = field(repr=False)

    def url(self, scheme, user=None, password=None):
        at = "" if user is None else f"{user}:{password}@"
        return f"{scheme}://{at}127.0.0.1:{self.port}"

    def read(self):
        return self.log.read_text(errors="replace")


def listening(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), WITHIN):
        return True
    return False


def start(folder, name, command, port, files=None):
    """Run a proxy until it listens; ``files`` are its configuration by name."""
    home = folder / name
    home.mkdir()
    log = home / "log"
    for file, text in (files or {}).items():
        (home / file).write_text(text.format(port=port, log=log, user=USER, password=PASSWORD))
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    proxy = RunningProxy(port, log, process)
    eventually(lambda: process.poll() is not None or listening(port), f"{name} does not listen")
    assert process.poll() is None, f"{name} ended:\n{proxy.read()}"
    return proxy


TINYPROXY = """Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 100
LogLevel Connect
LogFile "{log}"
"""
DANTE = """logoutput: {log}
internal: 127.0.0.1 port = {port}
external: lo
clientmethod: none
socksmethod: none
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 log: connect }}
"""

MOSQUITTO = """{root}
listener {mqtt} 127.0.0.1
allow_anonymous true
listener {mqtts} 127.0.0.1
allow_anonymous true
certfile {cert}
keyfile {cert}
"""


def tinyproxy(folder, port):
    command = ["tinyproxy", "-d", "-c", "conf"]
    return start(folder, "tinyproxy", command, port, {"conf": TINYPROXY})


def tinyproxy_auth(folder, port):
    command = ["tinyproxy", "-d", "-c", "conf"]
    conf = TINYPROXY + "BasicAuth {user} {password}\n"
    return start(folder, "tinyproxy_auth", command, port, {"conf": conf})


def microsocks(folder, port):
    return start(folder, "microsocks", ["microsocks", "-i", "127.0.0.1", "-p", str(port)], port)


def microsocks_auth(folder, port):
    command = ["microsocks", "-i", "127.0.0.1", "-p", str(port), "-u", USER, "-P", PASSWORD]
    return start(folder, "microsocks_auth", command, port)


def dante(folder, port):
    command = [_danted(), "-f", "conf", "-N", "1"]
    return start(folder, "dante", command, port, {"conf": DANTE})


def proxy_py(folder, port):
    command = [sys.executable, "-m", "proxy", "--hostname", "127.0.0.1", "--port", str(port)]
    command += ["--num-workers", "1", "--num-acceptors", "1", "--data-dir", "data"]
    command += ["--basic-auth", f"{USER}:{PASSWORD}"]
    return start(folder, "proxy_py", command, port)


def pproxy(folder, port):
    return _pproxy(folder, "pproxy", f"http+socks4+socks5://127.0.0.1:{port}", port)


def pproxy_auth(folder, port):
    where = f"http+socks5://127.0.0.1:{port}#{USER}:{PASSWORD}"
    always_ask = "--auth=-1"  # else who was once let in is asked no more
    return _pproxy(folder, "pproxy_auth", where, port, always_ask)


def _pproxy(folder, name, where, port, *more):
    command = [sys.executable, "-u", "-m", "pproxy", "-v", "-l", where, *more]
    return start(folder, name, command, port)


def _danted():
    return shutil.which("danted", path=f"{os.environ['PATH']}:/usr/sbin")


def _installed(name):
    program = name.partition("_")[0]
    if program not in PACKAGES:
        return True
    return (_danted() if program == "dante" else shutil.which(program)) is not None


PACKAGES = {"tinyproxy": "tinyproxy", "microsocks": "microsocks", "dante": "dante-server"}
KINDS = (
    tinyproxy,
    tinyproxy_auth,
    microsocks,
    microsocks_auth,
    dante,
    proxy_py,
    pproxy,
    pproxy_auth,
)


@pytest.fixture(scope="session")
def proxy_named(debian, tmp_path_factory):
    """The proxy of that name; all that are installed run before the first test."""
    folder = tmp_path_factory.mktemp("proxies")
    running = {
        kind.__name__: kind(folder, free_port()) for kind in KINDS if _installed(kind.__name__)
    }

    def named(name):
        if not _installed(name):
            debian(PACKAGES[name.partition("_")[0]], False)
        return running[name]

    yield named
    for proxy in running.values():
        proxy.process.terminate()
    for proxy in running.values():
        try:
            proxy.process.wait(10)
        except subprocess.TimeoutExpired:
            proxy.process.kill()
            proxy.process.wait(60)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder


@pytest.fixture(scope="session")
def ports(certificates, debian, tmp_path_factory):
    """Where the servers listen, by scheme."""
    cert = str(certificates / "server.pem")
    command = [sys.executable, str(Path(__file__).with_name("servers.py")), cert]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process, contextlib.ExitStack() as stack:
        stack.callback(process.stdin.close)
        found = json.loads(process.stdout.readline())
        mosquitto = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        debian("mosquitto", mosquitto)
        found["mqtt"], found["mqtts"] = free_port(), free_port()
        conf = tmp_path_factory.mktemp("mosquitto") / "conf"
        conf.write_text(
            MOSQUITTO.format(root="user root" * (os.geteuid() == 0), cert=cert, **found)
        )
        broker = subprocess.Popen([mosquitto, "-c", str(conf)], stderr=subprocess.DEVNULL)
        stack.callback(broker.wait, 60)
        stack.callback(broker.terminate)
        eventually(lambda: listening(found["mqtts"]), "mosquitto does not listen")
        yield found


@pytest.fixture
def dead_port():
    """A port that nobody can have while the test runs, and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def environment():
    return Environment()


@pytest.fixture
def reports(environment):
    with capture(environment) as reports:
        yield reports
