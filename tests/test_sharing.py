"""Two pytest processes that share one run: every test once, in one of them, and the sum told."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .sharing import FOLDER

TESTS = Path(__file__).parent
MEASURING = "tests/test_measuring.py"


@pytest.fixture
def project(tmp_path):
    """A checkout with four files of tests, one of which fails and one of which measures."""
    tests = tmp_path / "tests"
    tests.mkdir()
    for name in ("conftest.py", "ports.py", "results_schema.py", "sharing.py"):
        shutil.copy(TESTS / name, tests)
    shutil.copy(TESTS.parent / "pyproject.toml", tmp_path)
    for number in range(4):
        body = f"def test_a(): pass\ndef test_b(): assert {number} != 2\n"
        (tests / f"test_file_{number}.py").write_text(body)
    body = "import pytest\n@pytest.mark.measures\ndef test_c(): pass\n"
    (tests / "test_measuring.py").write_text(body)
    return tmp_path


@pytest.fixture
def run():
    """The module run.py of this checkout."""
    spec = importlib.util.spec_from_file_location("run", TESTS.parent / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_in(project, marks):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v"]
    environment = {**os.environ, FOLDER: str(marks)}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def test_what_one_process_has_taken_another_leaves(project, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    first, second = pytest_in(project, marks), pytest_in(project, marks)
    assert "1 failed, 7 passed" in first.stdout
    assert "8 selected" in second.stdout
    assert " passed" not in second.stdout


def test_run_py_adds_up_what_its_processes_say_and_fails_when_one_does(
    project, run, monkeypatch, capsys
):
    monkeypatch.chdir(project)
    environment = run.Environment(project)
    monkeypatch.setattr(environment, "python", sys.executable)
    assert run.run_together(environment) == 1
    output = capsys.readouterr().out
    assert output.splitlines()[-1].strip("= ").startswith("1 failed, 8 passed in ")
    words = [line.split()[0] for line in output.splitlines() if line.startswith("tests/")]
    files = sorted(word for word in words if word.endswith(".py"))
    assert files == [f"tests/test_file_{number}.py" for number in range(4)] + [MEASURING]
    assert [word for word in words if word in files][-1] == MEASURING
