"""The doctor finds what was planted, says what to do, and finds nothing in what is well."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from protouser.doctor import PROBLEM, examine

ROOT = Path(__file__).parents[1]

HEAD = """
from locust import constant, task
from protouser import ProtocolUser

class Widget(ProtocolUser):
    wait_time = constant(0.05)

    @task
    def work(self):
        with self.measure("work"):
            pass
"""

PLANTED = {
    "a socket": (
        "import socket\nkept = socket.socket()",
        "problem  forks       kept is a gevent._socket3.socket, opened on import",
    ),
    "a channel": (
        "import grpc\nclass Holder:\n    channel = grpc.insecure_channel('127.0.0.1:1')",
        "problem  forks       Holder.channel is a grpc._channel.Channel, opened on import",
    ),
    "a hidden socket": (
        "import socket\nkept = [socket.socket()]",
        "problem  forks       the import opened 1 socket(s)",
    ),
    "a thread": (
        "from gevent.monkey import get_original\n"
        "sleep = get_original('time', 'sleep')\n"
        "get_original('_thread', 'start_new_thread')(lambda: sleep(60), ())\nsleep(0.2)",
        "problem  forks       the import started 1 thread(s)",
    ),
    "a library that blocks": (
        "import sqlite3",
        "warning  blocking    sqlite3 waits in C",
    ),
    "a callable that blocks": (
        "from gevent.monkey import get_original\n"
        "class Sleeper(Widget):\n"
        "    @task\n"
        "    def block(self):\n"
        "        get_original('time', 'sleep')(0.3)",
        "warning  blocking    the event loop was blocked for",
    ),
    "a task that fails": (
        "class Broken(Widget):\n    @task\n    def work(self):\n        raise KeyError('gone')",
        "problem  tasks       KeyError: 'gone'",
    ),
    "a server that is down": (
        "class Away(ProtocolUser):\n    host = 'tcp://127.0.0.1:1'\n    tasks = [print]",
        "problem  hosts       Away: cannot connect to tcp://127.0.0.1:1: connection refused",
    ),
    "a host that nobody understands": (
        "class Odd(ProtocolUser):\n    host = 'tpc://127.0.0.1:1'\n    tasks = [print]",
        "problem  locustfile  Odd: no adapter for 'tpc'; did you mean 'tcp'?",
    ),
    "a class without a task": (
        "class Idle(ProtocolUser):\n    pass",
        "problem  locustfile  Idle has no task",
    ),
    "too many users for a process": (
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "from protouser_socket import TcpUser\n"
        "class Many(TcpUser):\n    weight = 99\n"
        "    host = 'tcp://127.0.0.1:1'\n    tasks = [print]",
        "problem  limits      100 users in one process need about 2",
    ),
    "a feeder without a file": (
        "from protouser import CsvFeeder\nrows = CsvFeeder('nowhere.csv')",
        "problem  feeders     ",
    ),
    "an error in the file": (
        "import nothing_of_this_name",
        "cannot be imported: ModuleNotFoundError: No module named 'nothing_of_this_name'",
    ),
}


def doctor(folder, *arguments, **environment):
    """The command as a tester runs it; its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "protouser", "doctor", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("planted", PLANTED)
def test_what_was_planted_is_found_and_has_a_remedy(tmp_path, planted):
    text, finding = PLANTED[planted]
    (tmp_path / "faulty.py").write_text(HEAD + text + "\n")
    code, output = doctor(tmp_path, "faulty.py", "--try", "0.5", "-u", "100")
    assert finding in output
    assert "-> " in output.partition(finding)[2] or ";" in output.partition(finding)[2]
    assert code == (1 if "problem  " in output else 0)


def test_a_file_that_is_not_there(tmp_path):
    code, output = doctor(tmp_path, "nowhere.py")
    assert "problem  locustfile  nowhere.py: there is no such file" in output
    assert code == 1


def test_a_standard_library_that_gevent_has_not_patched(tmp_path):
    code, output = doctor(tmp_path, LOCUST_SKIP_MONKEY_PATCH="1")
    assert "problem  patches     gevent has not patched socket, ssl" in output
    assert "-> unset LOCUST_SKIP_MONKEY_PATCH" in output
    assert code == 1


def test_a_library_that_is_too_old(monkeypatch):
    monkeypatch.setattr("protouser.doctor._environment.requires", lambda _: ["locust>=999.1"])
    found = [finding for finding in examine() if finding.level == PROBLEM]
    assert len(found) == 1
    assert "locust" in found[0].text
    assert "(needs 999.1)" in found[0].text
    assert found[0].remedy == "pip install --upgrade locust"


def test_an_adapter_that_does_not_load(tmp_path):
    package = tmp_path / "broken_one-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-one\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[protouser.adapters]\nbro = json:NotThere\n")
    code, output = doctor(tmp_path, PYTHONPATH=str(tmp_path))
    assert "problem  adapters    the adapter 'bro' (json:NotThere, from broken-one) is broken" in (
        output
    )
    assert "-> uninstall broken-one, or repair it" in output
    assert code == 1


def test_a_locustfile_that_is_well_gives_exit_code_0_and_no_warning(tmp_path):
    (tmp_path / "well.py").write_text(HEAD)
    code, output = doctor(tmp_path, "well.py", "--try", "0.5")
    assert output.endswith("\nno problems, no warnings\n")
    assert "note     hosts       Widget connects by itself, or has no host" in output
    assert " calls in 0.5 s, none failed" in output
    assert code == 0


def test_nothing_is_found_in_the_examples():
    program = """
        import sys
        from pathlib import Path
        from protouser.doctor import PROBLEM, WARNING, examine
        for file in sorted(Path("examples").glob("*/locustfile.py")):
            for finding in examine(file, connect=False):
                if finding.level in (PROBLEM, WARNING):
                    print(file, finding)
            sys.modules.pop("locustfile", None)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_a_host_without_a_port_is_said_before_the_load(run_locust):
    file = HEAD + "from protouser_socket import UdpUser\nclass U(UdpUser):\n    tasks = [print]\n"
    run = run_locust(file, "U", "-H", "udp://127.0.0.1", "-t", "1s")
    assert "protouser: U: udp://127.0.0.1 names no port; write udp://127.0.0.1:7000" in run.stderr
    assert run.exit_code == 1
