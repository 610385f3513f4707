"""Traces: which calls, what of them, where to, and never a secret."""

from __future__ import annotations

from locust import constant, task

import argparse
import json
import re
import subprocess
import sys
import textwrap
from contextlib import suppress

import pytest

from protouser import ProtocolUser
from protouser._errors import ConfigurationError
from protouser.trace import Selection, Trace, add_arguments, as_text, run, view

LOCUSTFILE = """
from locust import constant, task
from protouser import ProtocolUser

class Shop(ProtocolUser):
    wait_time = constant(0.05)

    @task
    def visit(self):
        for _ in range(5):  # enough of them, also where the machine is busy
            self.go_round()

    def go_round(self):
        with self.measure("look", request={"item": 7, "password": "hunter2"}) as call:
            call.response = b"a lamp"
        with self.measure("buy", request="token=hunter2&item=7") as call:
            call.spend("queue", 0.001)
            call.failure("sold out")
        with self.measure("tell", one_way=True):
            pass
"""


def records(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("failures", Selection(failures=True)),
        ("all", Selection()),
        ("user=3", Selection(user=3)),
        ("name=buy*", Selection(name="buy*")),
        ("failures, name=buy*,user=1", Selection(failures=True, name="buy*", user=1)),
    ],
)
def test_the_words_of_a_selection(text, expected):
    assert Selection.parse(text) == expected


@pytest.mark.parametrize("text", ["", "failure", "user=0", "user=x", "name=", "all,some"])
def test_other_words_are_refused_by_name(text):
    with pytest.raises(ConfigurationError, match=text.rpartition(",")[2] or "''"):
        Selection.parse(text)


@pytest.mark.parametrize(
    ("outcome", "user", "name", "picked"),
    [
        ("failure", 1, "buy now", True),
        ("success", 1, "buy now", False),
        ("failure", 2, "buy now", False),
        ("failure", 1, "look", False),
    ],
)
def test_a_selection_picks_what_fulfils_every_condition(outcome, user, name, picked):
    selection = Selection.parse("failures,user=1,name=buy*")
    assert selection.picks(outcome, user, name) is picked


class Odd:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("hello", "hello"),
        (b"hello\n", "hello\n"),
        (b"\x00\xff", "hex 00 ff"),
        (b"\x01\x02", "hex 01 02"),
        ({"a": b"b", "token": "c"}, "{'a': 'b', 'token': ***}"),
        ([1, "two"], "[1, 'two']"),
        (Odd(), "<Odd that cannot be shown: RuntimeError>"),
    ],
)
def test_what_was_sent_is_shown_readably(value, text):
    assert as_text(value, 100) == text


def test_long_texts_are_cut_and_say_so():
    assert as_text("x" * 5000, 10) == "x" * 10 + "... (5,000 characters)"
    assert as_text("x" * 500_000, 10) == "x" * 10 + "... (500,000 characters)"
    assert as_text(b"x" * 500_000, 10) == "x" * 10 + "... (500,000 bytes)"
    assert as_text("token=" + "x" * 500_000, 10) == "token=***... (500,006 characters)"


def test_a_cut_through_a_character_does_not_make_it_binary():
    assert as_text("x€".encode() * 50_000, 4) == "x€x€... (200,000 bytes)"


def test_failures_are_written_with_what_was_sent_and_no_secret(run_locust, tmp_path):
    run = run_locust(LOCUSTFILE, "-u", "1", "-t", "1s", "--protouser-trace", "failures",
                     "--protouser-trace-limit", "2")  # fmt: skip
    found = records(tmp_path / "protouser-trace.jsonl")
    assert [(each["name"], each["outcome"], each["reason"]) for each in found] == [
        ("buy", "failure", "sold out")
    ] * 2
    assert found[0]["request"] == "token=***&item=7"
    assert found[0]["series_ms"] == {"queue": 1.0}
    assert found[0]["user"] == "Shop 1"
    assert found[0]["ms"] > 0
    assert "2 traces in protouser-trace.jsonl; read them with: protouser trace" in run.stderr
    assert (
        " more of the same names and reasons were left out; --protouser-trace-limit" in run.stderr
    )
    assert "hunter2" not in run.stdout + run.stderr


def test_all_steps_of_one_user_in_their_order(run_locust, tmp_path):
    run_locust(LOCUSTFILE, "-u", "3", "-r", "3", "-t", "1s", "--protouser-trace", "user=2",
               "--protouser-trace-limit", "1", "--protouser-trace-file", "two.jsonl")  # fmt: skip
    found = records(tmp_path / "two.jsonl")
    assert {each["user"] for each in found} == {"Shop 2"}
    assert len(found) > 3
    steps = [(each["name"], each["outcome"]) for each in found[:3]]
    assert steps == [("look", "success"), ("buy", "failure"), ("tell", "one_way")]
    assert found[0]["request"] == "{'item': 7, 'password': ***}"
    assert (found[0]["response"], found[2]["ms"]) == ("a lamp", None)


def test_workers_send_their_traces_and_the_master_writes_them(run_locust, tmp_path):
    run = run_locust(
        LOCUSTFILE, "-u", "4", "-r", "4", "-t", "2s", "--processes", "2",
        "--protouser-trace", "name=look", "--protouser-trace-limit", "3",
    )  # fmt: skip
    found = records(tmp_path / "protouser-trace.jsonl")
    assert len({each["worker"] for each in found}) == 2
    assert {each["name"] for each in found} == {"look"}
    assert len(found) == 6
    assert all(re.fullmatch("Shop [12]", each["user"]) for each in found)
    assert " more of the same names and reasons were left out" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--protouser-trace", "failure"], "--protouser-trace: 'failure' is none of failures, all"),
        (["--protouser-trace-file", "no/such/x"], "'no/such/x' cannot be written"),
        (["--protouser-trace-limit", "0"], "'0' is no whole number above 0"),
    ],
)
def test_what_cannot_be_is_said_before_the_start(run_locust, arguments, words):
    run = run_locust(LOCUSTFILE, "-t", "1s", *arguments)
    assert words in run.stderr
    assert run.exit_code == 2


def test_one_user_alone_is_shown_on_the_terminal_as_it_happens(tmp_path):
    text = LOCUSTFILE.replace("call.failure", "self.stop(); call.failure") + textwrap.dedent("""
        if __name__ == "__main__":
            from locust import run_single_user
            run_single_user(Shop)
    """)
    (tmp_path / "alone.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "alone.py"], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert re.search(r"success +[0-9.]+ ms  Shop look  \(Shop 1\)\n", done.stdout)
    assert "  > {'item': 7, 'password': ***}" in done.stdout
    assert "  < a lamp" in done.stdout
    assert "    reason:  sold out" in done.stdout
    assert "\x1b" not in done.stdout  # it is no terminal


@pytest.fixture
def written(tmp_path):
    file = tmp_path / "trace.jsonl"
    base = {
        "at": 1.5, "user": "Shop 1", "transaction": "visit", "type": "Shop", "name": "buy",
        "to": None, "outcome": "failure", "reason": "sold out", "ms": 1.25,
        "series_ms": {"queue": 1.0}, "options": "qos=1", "request": "a\nb", "request_length": 3,
        "response": "hex 00 41 ff", "response_length": 3, "context": None,
    }  # fmt: skip
    lines = [base, {**base, "name": "look", "outcome": "success", "reason": None}]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '{"cut off": ')
    return file


@pytest.fixture
def command(capsys):
    def run_command(*arguments):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        code = run(parser.parse_args([str(each) for each in arguments]))
        return code, *capsys.readouterr()

    return run_command


def test_a_file_is_shown_as_blocks(written):
    words = [sys.executable, "-m", "protouser", "trace", str(written)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].endswith("  failure      1.250 ms  Shop buy  (Shop 1, in visit)")
    assert lines[1:7] == [
        "    reason:  sold out",
        "    series:  queue 1.000 ms",
        "    with:    qos=1",
        "  > a  [3 bytes]",
        "  > b",
        f"  < 0000  {'00 41 ff':47}  .A.  [3 bytes]",
    ]
    assert lines[-2] == ""
    assert re.fullmatch(r"2 calls from 1970-.* to 1970-.*: 1 failure, 1 success", lines[-1])


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [
        (["--name", "b*"], "1 call from"),
        (["--outcome", "success"], "1 call from"),
        (["--reason", "sold*"], "1 call from"),
        (["--user", "Shop 2"], "no such calls in "),
    ],
)
def test_a_part_of_a_file(written, command, arguments, calls):
    assert command(written, *arguments)[1].splitlines()[-1].startswith(calls)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello\n", ", line 1 is nothing that --protouser-trace has written"),
        (b"hello", ", line 1 is nothing that --protouser-trace has written"),
        (b"[1]\n", ", line 1 is nothing that --protouser-trace has written"),
        (b'{"schema": 1}\n', ", line 1 is nothing that --protouser-trace has written"),
        (b"\xff\xfe\n", ", line 1 is nothing that --protouser-trace has written"),
        (None, ": no such file or directory"),
    ],
)
def test_what_is_no_such_file_is_said_in_one_line(tmp_path, command, content, reason):
    other = tmp_path / "other"
    if content is not None:
        other.write_bytes(content)
    assert command(other) == (2, "", f"protouser trace: {other}{reason}\n")


def test_the_line_that_is_no_trace_is_named(written, command):
    written.write_text(written.read_text() + "\n")
    code, output, error = command(written)
    assert (code, output.count("Shop ")) == (2, 4)
    assert error == (
        f"protouser trace: {written}, line 3 is nothing that --protouser-trace has written\n"
    )


def test_a_file_in_which_nothing_was_written_is_no_error(tmp_path, command):
    empty = tmp_path / "empty"
    empty.touch()
    assert command(empty) == (0, f"no calls in {empty}\n", "")
    assert command(tmp_path) == (2, "", f"protouser trace: {tmp_path}: is a directory\n")


def test_who_has_seen_enough_gets_no_traceback(written):
    lines = written.read_text().splitlines()[:1]
    written.write_text("".join(f"{line}\n" for line in lines * 2_000))
    words = [sys.executable, "-m", "protouser", "trace", str(written)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        process.wait(60)


def test_a_view_of_a_call_without_anything_is_one_line(written):
    record = json.loads(written.read_text().splitlines()[0])
    unsaid = ("reason", "options", "request", "response", "ms", "user", "transaction")
    record.update(series_ms={}, **dict.fromkeys(unsaid))
    assert view(record).endswith("failure                Shop buy")
    assert (
        view(record, colours=True)
        .partition("Shop")[0]
        .endswith("\x1b[31mfailure  \x1b[0m" + " " * 14)
    )


def test_a_worker_is_told_by_its_host_and_four_digits(written):
    record = json.loads(written.read_text().splitlines()[0])
    head = view({**record, "worker": "load-7.example_2c501a0861a147238899c01ad4a2b02d"})
    assert head.splitlines()[0].endswith("  (Shop 1, in visit, on load-7.example_2c50)")


def test_text_that_looks_like_bytes_is_left_as_it_is(written):
    record = json.loads(written.read_text().splitlines()[0])
    assert "  < hex tables" in view({**record, "response": "hex tables"})
    cut = view({**record, "response": "hex 41 4... (5 bytes)"}).splitlines()
    assert cut[-2:] == [f"  < 0000  {'41':47}  A  [3 bytes]", "  < ... (5 bytes)"]


class Quiet(ProtocolUser):
    wait_time = constant(1)

    @task
    def work(self):
        with self.measure("work"):
            pass


def test_without_the_option_nothing_is_traced(locust_env):
    user = Quiet(locust_env)
    locust_env.events.test_start.fire(environment=locust_env)
    assert user._session.trace is None
    user.work()


def asked_of(call_with, environment):
    """The record of the one call that a user makes."""
    found = []
    user = Quiet(environment)
    user._session.trace_with(Trace(Selection(), found.append, 10))
    call_with(user)
    return found[-1]


def test_the_arguments_of_a_function_are_what_was_sent(locust_env):
    def order(_item, pw=None, count=1):
        return count

    for run_in in (None, "thread"):
        record = asked_of(
            lambda user, run=run_in: user.timed(order, run=run)("lamp", pw="x"), locust_env
        )
        assert (record["request"], record["options"]) == ("'lamp', pw=***", None)
        locust_env._protouser_session.close()


def test_calls_of_a_transaction_name_it_and_foreign_errors_their_kind(locust_env):
    def fail(user):
        with user.transaction("visit"):
            with suppress(KeyError), user.measure("look"):
                raise KeyError("item")
            record.update(found[-1])

    found, record = [], {}
    user = Quiet(locust_env)
    user._session.trace_with(Trace(Selection(), found.append, 10))
    fail(user)
    assert (record["transaction"], record["reason"]) == ("visit", "KeyError: 'item'")
    assert (found[-1]["transaction"], found[-1]["name"]) == (None, "visit")
