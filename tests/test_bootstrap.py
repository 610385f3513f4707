"""run.py, the first thing that a newcomer runs: on any Python, and when something is missing."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import gevent
import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "run.py"

specification = importlib.util.spec_from_file_location("run", SCRIPT)
run = importlib.util.module_from_spec(specification)
specification.loader.exec_module(run)

PYPROJECT = """
[dependency-groups]
dev = ["protouser[all]", "pytest", {include-group = "docs"}]
docs = ["sphinx>=8"]
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder with run.py and little else."""
    shutil.copy(SCRIPT, tmp_path)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path


@pytest.fixture
def environment(checkout, monkeypatch):
    """An environment that writes down what it would do, and needs no network."""
    environment = run.Environment(checkout)
    environment.done = []

    def make():
        environment.done.append("made")
        environment.path.mkdir(exist_ok=True)
        environment.write_note(root=str(checkout), made_here=True)

    def usable():
        return environment.path.exists() and not environment.read_note().get("unfinished")

    monkeypatch.setattr(environment, "make", make)
    monkeypatch.setattr(environment, "is_usable", usable)
    monkeypatch.setattr(environment, "install", environment.done.append)
    return environment


def for_demo(_pyproject):
    return ["protouser[all]"]


def for_test(pyproject):
    return run.group(pyproject, "dev")


def call(python, checkout, *words, **variables):
    """Run run.py in another process; its exit code and what it said."""
    ended = subprocess.run(
        [str(python), "run.py", *words],
        cwd=checkout,
        env={"PATH": "", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_a_group_holds_the_groups_that_it_includes():
    assert for_test(run.parse_toml(PYPROJECT.encode())) == ["protouser[all]", "pytest", "sphinx>=8"]


@pytest.mark.parametrize(
    ("requirements", "arguments"),
    [
        (["protouser[all]"], ["--editable", ".[all]"]),
        (["protouser"], ["--editable", "."]),
        (["pytest>=8"], ["--editable", ".", "pytest>=8"]),
        (["protouser[b, a]", "x", "protouser[a]"], ["--editable", ".[a,b]", "x"]),
        (["protouser-redis>=1"], ["--editable", ".", "protouser-redis>=1"]),
    ],
)
def test_the_checkout_is_installed_editable_with_all_extras_asked_for(requirements, arguments):
    assert run.pip_arguments(requirements) == arguments


def test_the_groups_of_this_project_can_be_read():
    pyproject = run.parse_toml((SCRIPT.parent / "pyproject.toml").read_bytes())
    assert all(isinstance(requirement, str) for requirement in for_test(pyproject))
    assert "all" in pyproject["project"]["optional-dependencies"]


def test_the_environment_is_made_once_and_filled_once(environment):
    for _ in range(3):
        environment.ensure(for_demo)
    assert environment.done == ["made", ["protouser[all]"]]


def test_a_second_command_adds_what_it_needs(environment):
    environment.ensure(for_demo)
    environment.ensure(for_test)
    environment.ensure(for_demo)
    assert environment.done[2:] == [["protouser[all]", "pytest", "sphinx>=8"]]


def test_a_changed_pyproject_is_installed_again_into_the_same_environment(environment):
    environment.ensure(for_demo)
    (environment.root / "pyproject.toml").write_text(PYPROJECT + "# changed")
    environment.ensure(for_demo)
    assert environment.done == ["made", ["protouser[all]"], ["protouser[all]"]]


def test_an_installation_that_was_cut_off_starts_anew(environment):
    environment.ensure(for_demo)
    environment.write_note(unfinished=True)
    environment.ensure(for_demo)
    assert environment.done[2:] == ["made", ["protouser[all]"]]


def test_a_failed_installation_is_shown_and_tried_again(environment, monkeypatch, capsys):
    monkeypatch.undo()
    environment.path.mkdir()
    environment.write_note(made_here=True)
    monkeypatch.setattr(environment, "is_usable", lambda: True)
    says = [sys.executable, "-c", "print('no such release'); raise SystemExit(1)"]
    monkeypatch.setattr(environment, "module", lambda *_: says)
    with pytest.raises(run.Failed, match="pip could not install"):
        environment.ensure(for_demo)
    assert "no such release" in capsys.readouterr().err
    assert "holds" not in environment.read_note()
    assert not environment.read_note()["unfinished"]


def test_a_folder_that_is_not_ours_is_refused_and_left_alone(checkout):
    environment = run.Environment(checkout)
    environment.path.mkdir()
    (environment.path / "precious").touch()
    with pytest.raises(run.Failed, match=r"was not made by run\.py"):
        environment.make()
    assert (environment.path / "precious").exists()


def test_a_link_to_a_python_is_no_environment(checkout):
    """pip would install into the Python that the link leads to."""
    environment = run.Environment(checkout)
    environment.bin.mkdir(parents=True)
    environment.python.symlink_to(Path(sys.executable).resolve())
    assert not environment.is_usable()


def test_an_environment_is_made_used_and_noticed_when_it_is_moved(checkout):
    if importlib.util.find_spec("ensurepip") is None:
        pytest.skip("this Python has no ensurepip, and other ways need a network")
    environment = run.Environment(checkout)
    environment.make()
    assert environment.is_usable()
    moved = run.Environment(checkout / "elsewhere")
    shutil.copytree(environment.path, moved.path, symlinks=True)
    assert not moved.is_usable()
    environment.python.unlink()
    environment.python.symlink_to("/nowhere/python")
    assert not environment.is_usable()


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """This Python without ensurepip, pip or virtualenv, made of links."""
    home = tmp_path_factory.mktemp("bare")
    library = Path(sysconfig.get_path("stdlib"))
    inside = home / "lib" / library.name
    inside.mkdir(parents=True)
    for entry in library.iterdir():
        if entry.name not in ("ensurepip", "site-packages", "dist-packages"):
            (inside / entry.name).symlink_to(entry)
    (home / "bin").mkdir()
    python = home / "bin" / "python3"
    shutil.copy(Path(sys.executable).resolve(), python)
    answer = subprocess.run([python, "-c", "import ensurepip"], capture_output=True, text=True)
    if "No module named 'ensurepip'" not in answer.stderr:
        pytest.skip(f"this Python cannot be rebuilt from links: {answer.stderr.strip()}")
    return python


def test_where_nothing_can_make_an_environment_the_error_says_what_to_install(
    bare_python, checkout
):
    code, output, errors = call(bare_python, checkout, "demo")
    assert (code, output) == (1, "")
    assert "apt install python3-venv" in errors
    assert "there is no uv" in errors
    assert "Traceback" not in errors
    assert not (checkout / ".venv").exists()


def test_the_pip_of_a_python_without_ensurepip_is_used():
    ways = dict(run.ways("env", "env/bin/python"))
    made, filled = ways["venv, and the pip of this Python"]
    assert "--without-pip" in made
    assert filled[3:] == ["--python", "env/bin/python", "install", "pip"]
    assert next(iter(ways)) == "venv"


def test_an_interrupt_ends_what_was_started_and_leaves_no_traceback(checkout):
    program = """
        import subprocess, sys, run
        from pathlib import Path

        class Announced(subprocess.Popen):
            def communicate(self):
                Path("waits").touch()
                return super().communicate()

        subprocess.Popen = Announced
        shell = "echo $$ > shell; sleep 60 & sleep 60"
        run.COMMANDS["demo"] = lambda *_: run.captured(["sh", "-c", shell], Path.cwd())
        sys.exit(run.main(["demo"]))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=checkout,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        shell = checkout / "shell"
        until(lambda: shell.exists() and shell.read_text().strip())
        until((checkout / "waits").exists)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "run.py: interrupted\n")
    until(lambda: not group_lives(int(shell.read_text())))


def until(condition):
    """Wait for a condition, at most a minute."""
    with gevent.Timeout(60):
        while not condition():
            gevent.sleep(0.02)


def group_lives(number):
    """Whether a process group has members."""
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_help_names_every_command(checkout):
    code, output, _ = call(sys.executable, checkout, "--help")
    assert code == 0
    assert [name for name in run.COMMANDS if f"run.py {name} " not in output] == []


def test_an_unknown_command_is_an_error_that_names_the_known_ones(checkout):
    code, _, errors = call(sys.executable, checkout, "tset")
    assert code == 2
    assert errors == (
        "run.py: no command 'tset'; there are: demo, test, lint, types, build, setup\n"
    )


def test_a_python_that_is_too_old_is_told_so_in_one_line(checkout):
    program = "import sys; sys.version_info = (3, 9, 18, 'final', 0); import run"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "needs Python 3.11 or newer" in ended.stderr


def test_pythons_that_are_too_old_can_read_the_file():
    tree = ast.parse(SCRIPT.read_bytes(), feature_version=(3, 6))
    before_check = []
    for node in tree.body:
        if isinstance(node, ast.If):
            break
        before_check.append(type(node))
    assert set(before_check) == {ast.Expr, ast.Import, ast.ImportFrom}
    imported = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert "__future__" not in imported  # "annotations" is an error before 3.7
