"""Mistakes of a tester's that are told before the load starts, in words for who made them."""

import locust  # noqa: F401  first: it patches the standard library for gevent

import sys

import pytest

from protouser import ConfigurationError, ProtocolUser
from protouser._attach import check_hosts_of
from protouser.doctor import PROBLEM, WARNING, examine

HEAD = "import locust, protouser\nfrom protouser import before_call, regex\n"

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
    # as Python 3.13 says it
    "raise TypeError(\"regex() got an unexpected keyword argument 'patern'. Did you ...?\")": (
        "regex() has no option 'patern'; did you mean 'pattern'?"
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


def test_a_wrong_call_of_the_testers_own_is_none_of_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = tmp_path / "protouser_mistaken.py"
    file.write_text(f"{HEAD}def buy(): pass\nbuy(speed=1)\n")
    (found,) = [each.text for each in examine(file) if each.level == PROBLEM]
    assert found.startswith(f"{file}:4 cannot be imported: TypeError: buy() got an unexpected")


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


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"protocol": 7}, "protocol=7 is no text"),
        ({"connect_attempts": "3"}, "connect_attempts='3' is no whole number"),
        ({"connect_backoff": "1s"}, "connect_backoff='1s' is no number of seconds"),
        ({"close_timeout": -1}, "close_timeout=-1 is no number of seconds"),
        ({"warm_up": "soon"}, "warm_up = 'soon': it is seconds, as in 10 or \"10s\""),
    ],
)
def test_an_option_of_a_user_that_cannot_be_is_refused(body, words):
    with pytest.raises(ConfigurationError) as refused:
        check_hosts_of([type("Buyer", (ProtocolUser,), body)], None)
    assert str(refused.value).startswith(f"Buyer: {words}")


def test_a_class_with_such_an_option_starts_no_load(run_locust):
    run = run_locust(
        """
        from locust import task
        from protouser import ProtocolUser

        class Buyer(ProtocolUser):
            @task
            def buy(self): pass

        class Seller(Buyer):
            close_timeout = "5x"
        """
    )
    assert run.exit_code == 1
    assert "protouser: Seller: close_timeout='5x' is no number of seconds\n" in run.stderr
    assert "Ramping" not in run.stderr
    assert "Traceback" not in run.stderr


NEARLY = """
import locust
from locust import constant, task
from protouser import ProtocolUser
from protouser_socket import TcpUser

class Base(TcpUser):
    abstract = True
    host = "tcp://127.0.0.1:9"
    time_out = 3
    hostess = "nobody"
    wait_time = constant(1)

    @task
    def buy(self):
        self.client.request(b"x")

class Buyer(Base):
    timeouts = [1, 2]
    hosts = ["a", "b"]
    paths = ["/"]
    warmup = 10
    warm_ups = property(lambda self: 3)
    frames = None

    def connects(self):
        return self.hosts, getattr(self, "timeouts")

class Seller(Base):
    proxi = "http://localhost:3128"

class Idle(ProtocolUser):
    time_out = 3

    @task
    def wait(self): pass
"""

MEANT = {
    "Buyer.warmup": "warm_up",
    "Base.time_out": "timeout",
    "Seller.proxi": "proxy",
}


def test_an_attribute_that_is_nearly_an_option_and_read_by_nobody_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = tmp_path / "nearly.py"
    file.write_text(NEARLY)
    found = [each.text for each in examine(file, connect=False) if each.level == WARNING]
    assert sorted(found) == sorted(
        f"{attribute} is no option, and nothing reads it; did you mean {option!r}?"
        for attribute, option in MEANT.items()
    )


def test_the_command_warns_of_it_before_the_load(run_locust):
    run = run_locust(
        """
        from locust import task
        from protouser import ProtocolUser

        class Buyer(ProtocolUser):
            connect_attempt = 3
            tenant, tenants = "a", ["a", "b"]

            @task
            def buy(self):
                self.environment.runner.quit()
        """
    )
    assert run.exit_code == 0
    warnings = [line for line in run.stderr.splitlines() if "/WARNING/" in line]
    text = "Buyer.connect_attempt is no option, and nothing reads it; did you mean"
    assert len(warnings) == 1
    assert warnings[0].endswith(f"{text} 'connect_attempts'?")
    assert run.stderr.index(text) < run.stderr.index("Ramping")
