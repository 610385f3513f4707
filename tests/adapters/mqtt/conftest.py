"""Brokers in processes of their own: mosquitto, iotcore, and one that follows a script."""

from __future__ import annotations

from locust.env import Environment

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import gevent
import pytest
import trustme

from protouser import attach, now
from protouser.testing import capture
from protouser_mqtt import MqttClient
from tests.ports import free_port

SOON = 30.0  # only a hang takes longer
PROGRAM = Path(__file__).with_name("broker_program.py")
MOSQUITTO = shutil.which(
    "mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
)


def until(condition, what="the condition"):
    """Wait, with an end, until a condition holds; returns what made it true."""
    deadline = now() + SOON
    while not (found := condition()):
        assert now() < deadline, f"{what} never came"
        gevent.sleep(0.01)
    return found


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Scripted:
    """A broker that does what its script says, as a context manager."""

    def __init__(self, **script):
        self.script = script

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM), json.dumps(self.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self.process.stdout.readline())
        scheme = "mqtts" if self.script.get("cert_file") else "mqtt"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_error):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def seen(self, what=None):
        """What it has seen so far, or one figure of that."""
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        seen = json.loads(self.process.stdout.readline())
        return seen if what is None else seen[what]


class Mosquitto:
    """Mosquitto with a plain listener, a TLS listener, and one that asks for a password."""

    def __init__(self, folder):
        self.folder = folder
        self.port, self.tls_port, self.secret_port = free_port(), free_port(), free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.tls_url = f"mqtts://127.0.0.1:{self.tls_port}"
        self.secret_url = f"mqtt://127.0.0.1:{self.secret_port}"
        self.ca_file = str(folder / "ca.pem")
        self._write_files()
        self.process = None

    def _write_files(self):
        folder, authority = self.folder, trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(str(folder / "server.key"))
        issued.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
        (folder / "passwords").write_text("ann:secret\n")
        subprocess.run(["mosquitto_passwd", "-U", str(folder / "passwords")], check=True)
        (folder / "rules").write_text(
            "topic readwrite open/#\ntopic deny forbidden/#\nuser ann\ntopic readwrite open/#\n"
        )
        (folder / "mosquitto.conf").write_text(
            f"""
            {"user root" if os.geteuid() == 0 else ""}
            per_listener_settings true
            log_dest file {folder}/log
            listener {self.port} 127.0.0.1
            allow_anonymous true
            set_tcp_nodelay true
            listener {self.tls_port} 127.0.0.1
            allow_anonymous true
            cafile {self.ca_file}
            certfile {folder}/server.pem
            keyfile {folder}/server.key
            listener {self.secret_port} 127.0.0.1
            allow_anonymous false
            password_file {folder}/passwords
            acl_file {folder}/rules
            """.replace("            ", "")
        )

    def start(self):
        command = [MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for port in (self.port, self.tls_port, self.secret_port):
            until(lambda port=port: listens(port), "mosquitto")
        return self

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def connections(self):
        """How many connections there are to its listeners, as the kernel knows them."""
        ports = {f"{port:04X}" for port in (self.port, self.tls_port, self.secret_port)}
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        fields = [line.split() for line in lines]
        return sum(f[3] == "01" and f[1].rpartition(":")[2] in ports for f in fields)


@pytest.fixture(scope="session")
def mosquitto(debian, tmp_path_factory):
    debian("mosquitto", MOSQUITTO)
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto")).start()
    yield broker
    broker.stop()


@pytest.fixture
def own_mosquitto(debian, tmp_path):
    """One that a test may stop and start."""
    debian("mosquitto", MOSQUITTO)
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.stop()


@pytest.fixture
def scripted():
    """Start brokers that follow a script; they end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **script: stack.enter_context(Scripted(**script))


@pytest.fixture
def environment():
    return Environment()


@pytest.fixture
def reports(environment):
    with capture(environment) as reports:
        yield reports


@pytest.fixture
def client_of(environment, reports):
    """Connected clients, closed at the end of the test."""
    clients = []

    def opened(url, **options):
        options.setdefault("timeout", SOON)
        client = MqttClient(url, session=attach(environment), **options)
        clients.append(client)
        return client.open()

    yield opened
    for client in clients:
        client.close()


def rows(reports):
    return [(report.name, report.exception) for report in reports]


def failures(reports):
    return [(report.name, str(report.exception)) for report in reports if report.exception]
