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
        "sleep, runs = get_original('time', 'sleep'), []\n"
        "start = get_original('_thread', 'start_new_thread')\n"
        "start(lambda: (runs.append(1), sleep(600)), ())\n"
        "while not runs:\n    sleep(0.001)",
        "problem  forks       the import started 1 thread(s), which forked workers do not have:"
        " <lambda> (",
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
        "problem  tasks       KeyError: 'gone' at faulty.py:15, in work (",
    ),
    "a start that fails": (
        "class Early(Widget):\n    def on_start(self):\n        raise KeyError('early')",
        "problem  tasks       KeyError: 'early' at faulty.py:14, in on_start (once)",
    ),
    "a server that is down": (
        "class Away(ProtocolUser):\n    host = 'tcp://127.0.0.1:1'\n    tasks = [print]",
        "problem  hosts       Away: cannot connect to tcp://127.0.0.1:1: connection refused",
    ),
    "a host that nobody understands": (
        "class Odd(ProtocolUser):\n    host = 'tpc://127.0.0.1:1'\n    tasks = [print]",
        "problem  locustfile  Odd: no adapter for 'tpc'; did you mean 'tcp'?",
    ),
    "a class without a host": (
        "from protouser_socket import TcpUser\nclass Lost(TcpUser):\n    tasks = [print]",
        "problem  hosts       Lost has no host to connect to",
    ),
    "too many users for a machine": (
        "from protouser_socket import TcpUser\n"
        "import protouser._limits as limits\nlimits._count_ports = lambda: 50\n"
        "class Many(TcpUser):\n    weight = 999\n"
        "    host = 'tcp://127.0.0.1:1'\n    tasks = [print]",
        "problem  limits      100 users need about 100 connections to one address, and this machine"
        " has 50 local ports",
    ),
    "a class without a task": (
        "class Idle(ProtocolUser):\n    pass",
        "problem  locustfile  Idle has no task\n"
        "                     -> mark one of its methods with @task\n",
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
        "faulty.py:12 cannot be imported: ModuleNotFoundError: No module named",
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
        timeout=200,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


EXAMINE_EACH = """
import os, sys, traceback
from protouser.__main__ import main
for folder in sys.argv[1:]:
    if os.fork():
        os.wait()
        continue
    os.chdir(folder)
    sys.path.insert(0, folder)
    with open("said", "w") as sys.stdout, open("errors", "w") as sys.stderr:
        try:
            print(main(["doctor", "faulty.py", "--try", "0.5", "-u", "100"]))
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
"""


@pytest.fixture(scope="session")
def said(tmp_path_factory):
    """What the doctor says of each planted fault, in a process of its own that has imported all."""
    folders = {planted: tmp_path_factory.mktemp("planted") for planted in PLANTED}
    for planted, (text, _) in PLANTED.items():
        (folders[planted] / "faulty.py").write_text(HEAD + text + "\n")
    command = [sys.executable, "-W", "ignore", "-c", EXAMINE_EACH, *map(str, folders.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    return {
        planted: ((folder / "said").read_text(), (folder / "errors").read_text())
        for planted, folder in folders.items()
    }


@pytest.mark.parametrize("planted", PLANTED)
def test_what_was_planted_is_found_and_has_a_remedy(said, planted):
    finding = PLANTED[planted][1]
    output, errors = said[planted]
    assert errors == ""
    assert finding in output
    assert "-> " in output.partition(finding)[2] or ";" in output.partition(finding)[2]
    assert output.splitlines()[-1] == str(int("problem  " in output))
    for subject in ("tasks", "calls"):  # what is known to fail is not tried
        assert "problem  hosts" not in output or f"problem  {subject}" not in output
        assert "problem  locustfile" not in output or f"problem  {subject}" not in output


@pytest.mark.parametrize(
    ("content", "finding", "remedy"),
    [
        (None, ": there is no such file; is the path right?", ""),
        ("", " has no user class that can run", "write a class that inherits a user class"),
        ("x = (\n", ":1 cannot be imported: SyntaxError", "mend the line"),
        (
            "x = 1\nraise OSError('gone')\n",
            ":2 cannot be imported: OSError: gone",
            "a locustfile is",
        ),
        ("import sys\nsys.exit('bye')\n", ":2 cannot be imported: SystemExit: bye", "a locustfile"),
        (b"\xff\xfe", ":1 cannot be imported: SyntaxError: (unicode error)", "mend the line"),
    ],
)
def test_a_file_that_is_none(tmp_path, monkeypatch, content, finding, remedy):
    file = tmp_path / "odd_one.py"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = [each for each in examine(file) if each.level == PROBLEM]
    assert [each.subject for each in found] == ["locustfile"]
    assert f"{file}{finding}" in found[0].text
    assert found[0].remedy.startswith(remedy)


def test_a_folder_is_no_file(tmp_path):
    code, output = doctor(tmp_path, ".")
    assert "problem  locustfile  .: it is a folder; name one of its files" in output
    assert code == 1


def test_what_is_wrong_with_several_classes_is_said_once_for_each(tmp_path):
    text = """
class Odd(ProtocolUser):
    host = 'tpc://127.0.0.1:1'
    tasks = [print]

class Far(ProtocolUser):
    host = 'mqtt://127.0.0.1:99999'
    tasks = [print]

class Away(ProtocolUser):
    host = 'tcp://127.0.0.1:1'
    tasks = [print]
"""
    (tmp_path / "several.py").write_text(HEAD + text)
    _, output = doctor(tmp_path, "several.py")
    found = [line.split(maxsplit=2) for line in output.splitlines() if line.startswith("problem")]
    assert [(subject, said.split(":")[0]) for _, subject, said in found] == [
        ("locustfile", "Odd"),
        ("locustfile", "Far"),
        ("hosts", "Away"),
    ]


def test_a_host_that_is_for_no_class_is_said_once(tmp_path):
    (tmp_path / "one.py").write_text(HEAD + "\n    host = 'tcp://127.0.0.1:1'\n")
    _, output = doctor(tmp_path, "one.py", "--host", "mqtt://127.0.0.1")
    assert output.count("problem") == 2  # and the count
    assert "--host mqtt://... is for none of the user classes (Widget)" in output


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
    options = """
    def on_start(self):
        assert self.environment.parsed_options.colour == "blue"

from locust import events

@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--colour", default="blue")
"""
    (tmp_path / "well.py").write_text(HEAD + options)
    (tmp_path / "locust.conf").write_text("protouser-json = results.json\n")
    for _ in range(3):  # a machine with much else to do may block the event loop for a moment
        code, output = doctor(tmp_path, "well.py", "--try", "0.5")
        if "warning  blocking" not in output:
            break
    assert output.endswith("\nno problems, no warnings\n")
    assert "note     hosts       Widget names no host that could be tried" in output
    assert " calls in 0.5 s, none failed" in output
    assert "--try" not in output  # it is given
    assert not (tmp_path / "results.json").exists()
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
        timeout=200,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_a_host_without_a_port_is_said_before_the_load(run_locust):
    file = HEAD + "from protouser_socket import UdpUser\nclass U(UdpUser):\n    tasks = [print]\n"
    run = run_locust(file, "U", "-H", "udp://127.0.0.1", "-t", "1s")
    assert "protouser: U: udp://127.0.0.1 names no port; write udp://127.0.0.1:7000" in run.stderr
    assert run.exit_code == 1
