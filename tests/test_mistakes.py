"""Mistakes of a tester's that are told before the load starts, in words for who made them."""

import locust  # noqa: F401  first: it patches the standard library for gevent

import sys

import pytest

from protouser.doctor import PROBLEM, examine

HEAD = "import locust, protouser\nfrom protouser import before_call\n"

TOLD = {
    'protouser.CsvFeeder("x.csv", oder="queue")': (
        "feeder x.csv: there is no option 'oder'; is it 'order'?"
    ),
    'protouser.arrival_rate("20/s", posson=True)': (
        "arrival_rate() has no option 'posson'; did you mean 'poisson'?"
    ),
    'protouser.arrival_rate("20/s", jitter=1)': (
        "arrival_rate() has no option 'jitter'; it has late, poisson, seed"
    ),
    '@before_call(protocl="tcp")\ndef sign(call): pass': (
        "before_call() has no option 'protocl'; did you mean 'protocol'?"
    ),
    "protouser.regex()": "regex() missing 1 required positional argument: 'pattern'",
    "before_call(3)": "a hook selects calls by a glob, not by 3",
    "class Visit(locust.TaskSet):\n    @before_call\n    def sign(self, call): pass": (
        "Visit.sign is a hook in a TaskSet, where nobody would run it: write it into the user"
        " class, or a mix-in of that"
    ),
}

NOT_OURS = {
    "def buy(): pass\nbuy(speed=1)": "TypeError: buy() got an unexpected keyword argument 'speed'",
    "len(1)": "TypeError: object of type 'int' has no len()",
    "try: before_call(3)\nexcept ValueError as error: raise KeyError(1) from error": "KeyError: 1",
}


@pytest.mark.parametrize("line", TOLD)
def test_a_mistake_in_a_locustfile_is_told_with_its_line(tmp_path, monkeypatch, line):
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = tmp_path / "protouser_mistaken.py"  # a name that a tester may choose
    file.write_text(f"{HEAD}{line}\n")
    found = [each.text for each in examine(file) if each.level == PROBLEM]
    assert found == [f"{file}:3: {TOLD[line]}"]


@pytest.mark.parametrize("line", list(TOLD)[:2])
def test_the_command_tells_a_mistake_without_a_traceback(run_locust, tmp_path, line):
    file = tmp_path / "protouser_mistaken.py"
    file.write_text(f"{HEAD}{line}\n")
    run = run_locust("import protouser_mistaken\n")
    assert run.exit_code == 1
    assert run.stderr == f"protouser: {TOLD[line]}\n  at {file}:3\n"


@pytest.mark.parametrize("line", NOT_OURS)
def test_what_is_no_mistake_of_that_kind_keeps_its_traceback(run_locust, line):
    run = run_locust(f"{HEAD}{line}\n")
    assert run.exit_code == 1
    assert run.stderr.startswith("Traceback")
    assert run.stderr.endswith(f"\n{NOT_OURS[line]}\n")
