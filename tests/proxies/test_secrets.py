"""A password of a proxy or server is in nothing that a run or the doctor writes or serves."""

from __future__ import annotations

import base64
import os
import subprocess
import sys

import pytest

from tests.ports import free_port

from .conftest import PASSWORD, USER

WRONG = "Tr0ub@dor"  # an "@" may stand in a password, and so end what is taken for one too early

LOCUSTFILE = """
from pathlib import Path
from urllib.request import urlopen

from locust import HttpUser, LoadTestShape, constant, events, task
from protouser import ProxyMixin
from protouser_socket import TcpUser
from protouser_websocket import WebSocketUser

PAGES = ("/", "/stats/requests", "/stats/report", "/stats/requests/csv", "/exceptions", "/logs")


class Right(TcpUser):
    host = "tcp://127.0.0.1:{tcp}"
    wait_time = constant(0.05)

    @task
    def talk(self):
        self.client.request(b"hello", check=lambda reply: False)


class Wrong(Right):
    proxy = "http://{user}:{wrong}@127.0.0.1:{refusing}"

    def on_start(self):
        raise RuntimeError("not to be reached")


class Guest(WebSocketUser):
    proxy = "direct"
    wait_time = constant(0.05)

    def connect(self):
        url = "ws://{user}:{wrong}@127.0.0.1:{{}}/chat?access_token={wrong}"
        self.client = self.open(url.format({ws}))
        self.open(url.format(1))

    def on_start(self):
        raise RuntimeError("not to be reached")


class Web(ProxyMixin, HttpUser):
    host = "http://127.0.0.1:{http}"
    wait_time = constant(0.05)

    @task
    def page(self):
        self.client.get("/")


class Refused(Web):
    proxy = "http://{user}:{wrong}@127.0.0.1:{refusing}"


class UntilAllIsSeen(LoadTestShape):
    def tick(self):
        seen = {{(each.method, each.name) for each in self.runner.stats.errors.values()}}
        seen = seen >= {{("tcp", "request"), ("tcp", "connect"), ("ws", "connect"), ("GET", "/")}}
        return None if seen or self.get_run_time() > 80 else (5, 5)


@events.test_stop.add_listener
def keep_pages(environment, **_):
    for number, page in enumerate(PAGES):
        with urlopen(f"http://127.0.0.1:{{environment.web_ui.port}}{{page}}") as answer:
            Path(f"page-{{number}}").write_bytes(answer.read())
"""


@pytest.fixture
def locustfile(ports, proxy_named):
    refusing = proxy_named("proxy_py").port
    return LOCUSTFILE.format(user=USER, wrong=WRONG, refusing=refusing, **ports)


@pytest.fixture
def wanted(proxy_named):
    return proxy_named("tinyproxy_auth").url("http", USER, PASSWORD)


def secrets_in(*texts):
    """Which secrets stand where; nothing is expected."""
    words = [WRONG, "Tr0ub", *(encoded(password) for password in (WRONG, PASSWORD)), PASSWORD]
    return [(word, text[:80]) for word in words for text in texts if word in text]


def encoded(password):
    return base64.b64encode(f"{USER}:{password}".encode()).decode()


def test_a_run(locustfile, wanted, run_locust, tmp_path):
    outputs = ["--csv", "csv", "--html", "report.html", "--logfile", "log", "--loglevel", "DEBUG"]
    outputs += ["--protouser-json", "ours.json", "--protouser-csv", "ours"]
    outputs += ["--protouser-html", "ours.html"]
    outputs += [
        "--protouser-threshold",
        "failures < 1%",
        "--protouser-junit",
        "ours.xml",
        "--protouser-trace",
        "all",
    ]
    outputs += ["--protouser-trace-file", "trace.jsonl", "--protouser-proxy", wanted]
    on_the_web = ["--autostart", "--autoquit", "0", "--web-host", "127.0.0.1", "--web-port"]
    on_the_web.append(str(free_port()))
    run = run_locust(locustfile, *outputs, *on_the_web, timeout=200)
    for row in (("tcp", "request"), ("ws", "connect")):
        assert run.row(*row)["num_failures"] > 0, run.stderr
    files = {
        path.name: path.read_text(errors="replace")
        for path in tmp_path.iterdir()
        if path.is_file() and path.name != "locustfile.py"
    }
    assert secrets_in(run.stdout, run.stderr, *files.values()) == []
    assert f"{USER}:***@" in files["ours.json"]
    assert f"{USER}:***@" in files["trace.jsonl"]
    assert "407" in files["page-1"]
    assert len(files) >= 17, sorted(files)


def doctor(folder, *arguments, **environment):
    command = [sys.executable, "-m", "protouser", "doctor", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.stderr == ""
    assert secrets_in(done.stdout) == []
    return done.stdout


def test_the_doctor_goes_through_the_proxies(locustfile, wanted, tmp_path):
    url = f"ws://{USER}:{WRONG}@127.0.0.1:1/chat?access_token={WRONG}"
    nobody = (
        f"class Nobody(WebSocketUser):\n    host, proxy = '{url}', 'direct'\n    tasks = [len]\n"
    )
    (tmp_path / "file.py").write_text(locustfile + nobody)
    said = doctor(tmp_path, "file.py", "--protouser-proxy", wanted)
    assert f"problem  hosts       Wrong: the proxy http://{USER}:***@" in said
    assert "problem  hosts       Nobody: " in said
    for name in ("Right", "Web", "Refused"):
        assert f"ok       hosts       {name}: " in said, said


def test_the_doctor_hears_what_a_run_would(locustfile, wanted, tmp_path):
    (tmp_path / "file.py").write_text(locustfile)
    refused = wanted.replace("http", "https").replace(PASSWORD, WRONG)
    said = doctor(tmp_path, "file.py", LOCUST_PROTOUSER_PROXY=refused)
    assert "problem  locustfile  --protouser-proxy or LOCUST_PROTOUSER_PROXY" in said
    assert "TLS to the proxy itself is not supported" in said
    (tmp_path / "locust.conf").write_text(f"protouser-proxy = {refused}\n")
    assert "TLS to the proxy itself is not supported" in doctor(tmp_path, "file.py")
