"""Hooks of modules and mix-ins: whom they are for, in which order, and what they cannot disturb."""

from __future__ import annotations

from locust import TaskSet, task
from locust.exception import StopUser

import sys

import gevent.event
import pytest

from protouser import (
    ConfigurationError,
    ProtocolUser,
    after_call,
    attach,
    before_call,
    before_connect,
    on_disconnect,
    on_failure,
    on_message,
)
from protouser._hooks import MESSAGE, Hook, hooks_of_test
from protouser.testing import load

SAID = []


@before_call("of the module*")
def of_the_module(call):
    SAID.append(("module", call.user.word))


class MixIn:
    """No user by itself."""

    word = "mixed in"

    @before_call("of the module*")
    def of_the_mixin(self, call):
        SAID.append(("mix-in", self.word))


def user(call, *bases, **members):
    @task
    def act(self):
        call(self)
        raise StopUser

    return type("Person", (*bases, ProtocolUser), {"act": act, **members})


def measured(name):
    def call(person):
        with person.measure(name):
            pass

    return call


@pytest.fixture(autouse=True)
def nothing_said():
    SAID.clear()


def test_hooks_of_the_test_come_first_then_bases_then_the_class():
    own = before_call(protocol="Per*")(lambda self, call: SAID.append(("class", self.word)))
    load(user(measured("of the module"), MixIn, own=own), users=1, seconds=60)
    assert SAID == [("module", "mixed in"), ("mix-in", "mixed in"), ("class", "mixed in")]


def test_a_hook_of_another_protocol_or_name_is_left_out():
    own = before_call("*", protocol="grpc")(lambda self, call: SAID.append("grpc"))
    load(user(measured("else"), MixIn, own=own), users=1, seconds=60)
    assert SAID == []


def test_hooks_of_one_module_are_not_those_of_another_test():
    stranger = user(measured("of the module"), word="none")
    stranger.__module__ = ProtocolUser.__module__
    load(stranger, users=1, seconds=60)
    assert SAID == []


class Proxy:
    """As Flask's ``request`` is out of a request: whatever it is asked for, it raises."""

    def __getattribute__(self, name):
        raise RuntimeError("working outside of a request")


def test_classes_and_modules_that_are_no_usual_ones_have_their_hooks(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "stand_in", Proxy(), raising=False)
    monkeypatch.setitem(sys.modules, "left_out", None)
    monkeypatch.setitem(sys.modules, "no_module", 7)
    for odd in ([], 7, None, "left_out", "no_module", "never imported"):
        SAID.clear()
        own = before_call("of the module*")(lambda self, call: SAID.append("class"))
        base = type("Base", (), {"word": "odd"})
        base.__module__ = odd
        load(user(measured("of the module"), base, MixIn, own=own), users=1, seconds=60)
        assert SAID == [("module", "odd"), ("mix-in", "odd"), "class"], odd


def test_a_second_import_does_not_double_hooks(tmp_path):
    file = tmp_path / "imported_twice.py"
    text = "from protouser import before_call\n@before_call('a')\ndef _(call): ...\n"
    code = text + "@before_call('b')\ndef _(call): ...\n"
    for _ in range(2):
        exec(compile(code, str(file), "exec"), {"__name__": "imported_twice"})
    found = [hook for hook in hooks_of_test() if hook.function.__module__ == "imported_twice"]
    assert [hook.uses[0].pattern for hook in found] == ["a", "b"]
    for hook in found:
        hook.remove()
    assert not set(found) & set(hooks_of_test())


def test_a_hook_stays_a_method_that_can_be_called_and_overridden():
    assert isinstance(MixIn.of_the_mixin, Hook)

    class Quiet(MixIn):
        def of_the_mixin(self, call):
            super().of_the_mixin(call)
            SAID.append("overridden, and no hook any more")

    Quiet().of_the_mixin(None)
    assert SAID == [("mix-in", "mixed in"), "overridden, and no hook any more"]
    SAID.clear()
    load(user(measured("of the module"), Quiet), users=1, seconds=60)
    assert SAID == [("module", "mixed in")]


def test_one_function_may_have_several_moments():
    @before_call("once")
    @after_call("once")
    def both(self, call):
        SAID.append(call.outcome)

    load(user(measured("once"), both=both), users=1, seconds=60)
    assert SAID == [None, "success"]


def test_what_is_no_function_is_refused():
    for decorator in (before_call, after_call, on_failure):
        with pytest.raises(ConfigurationError, match="a hook selects calls by a glob, not by 7"):
            decorator(7)
    with pytest.raises(ConfigurationError, match="a hook is a function"):
        before_call("x")(len)


def is_news(message):
    return message == "news"


def test_a_predicate_with_a_name_is_given_as_match():
    before = hooks_of_test()
    words = r"write @on_message\(match=is_news\)"
    with pytest.raises(ConfigurationError, match=f"selects the messages of take, {words}"):

        @on_message(is_news)
        def take(self, message):
            pass

    assert hooks_of_test() == before

    @on_message(match=is_news)
    @on_message(str.isdigit)
    def right(self, message):
        pass

    assert [use.pattern for use in right.uses] == [is_news, str.isdigit]
    right.remove()
    for wrong in ({"match": "news"}, {"pattern": "a", "match": is_news}):
        with pytest.raises(ConfigurationError, match="match= is one predicate"):
            on_message(**wrong)


def test_a_function_without_parentheses_is_the_hook():
    @on_message
    def see(message):
        return message

    assert [(use.moment, use.pattern) for use in see.uses] == [(MESSAGE, None)]
    assert see("news") == "news"
    see.remove()


def test_a_hook_in_a_task_set_is_refused():
    with pytest.raises((ConfigurationError, RuntimeError)) as raised:  # RuntimeError: Python 3.11

        class Tasks(TaskSet):
            @before_call
            def sign(self, call): ...

    error = raised.value.__cause__ or raised.value
    assert isinstance(error, ConfigurationError)
    assert "Tasks.sign is a hook in a TaskSet, where nobody would run it" in str(error)


def test_what_would_not_run_is_refused():
    async def later(call):
        pass

    def some(call):
        yield

    for function in (later, some):
        with pytest.raises(ConfigurationError, match=f"the hook .*{function.__name__} is an async"):
            before_call(function)


def test_the_locust_command_runs_the_hooks_of_all_modules(run_locust, tmp_path):
    (tmp_path / "common.py").write_text(
        "from protouser import before_call\n"
        "def install():\n"
        "    @before_call('make')\n"
        "    def rename(call):\n"
        "        call.name = 'renamed'\n"
    )
    run = run_locust(
        """
        from locust import task
        from locust.exception import StopUser
        from protouser import ProtocolUser
        __import__("common").install()

        class Maker(ProtocolUser):
            @task
            def make(self):
                with self.measure("make"):
                    pass
                self.environment.runner.quit()
        """,
        "-u",
        "1",
        "-t",
        "50s",
    )
    assert run.row("Maker", "renamed")["num_requests"] >= 1, run


def test_a_hook_of_failures_costs_nothing_where_nothing_failed():
    def call(person):
        for good in (True, True, False):
            with person.measure("sale") as sale:
                if not good:
                    sale.failure("sold out")

    own = on_failure("sale")(lambda self, call: SAID.append(call.outcome))
    row = load(user(call, own=own), users=1, seconds=60)["Person", "sale"]
    assert SAID == ["failure"]
    assert row.percentile(1.0, series="hooks", outcome="failure") > 0
    assert (row.successes, "hooks" in row.series()) == (2, False)


def idle(caplog):
    """The hooks that are said to have selected nothing, as they are written, and what is meant."""
    said = [record.message for record in caplog.records if "selected no call" in record.message]
    told = [
        text.partition("), ")[2].partition(", has selected no call of this test") for text in said
    ]
    return [(hook, hint) for hook, _, hint in told if "of the module" not in hook]


def test_hooks_that_selected_no_call_are_said_once_at_the_end(caplog):
    def nothing(self, call): ...

    hooks = {
        "a": before_call("getUsr*")(nothing),
        "b": after_call("*", protocol="Persn")(nothing),
        "c": before_connect(protocol="mqtt")(nothing),
        "d": before_call("getUser*")(nothing),
        "e": after_call(nothing),
        "f": on_failure("never")(nothing),
        "g": on_disconnect(nothing),
    }
    first = user(measured("getUser1"), **hooks)
    load(first, type("Other", (first,), {}), users=4, seconds=20)
    assert sorted(idle(caplog)) == [
        ('@after_call(protocol="Persn")', "; did you mean 'Person'?"),
        ('@before_call("getUsr*")', "; did you mean 'getUser1'?"),
        ('@before_connect(protocol="mqtt")', ""),
    ]


def test_of_a_hook_with_two_globs_the_one_that_selects_nothing_is_said(caplog):
    @before_call("buy")
    @before_call("sell")
    def note(self, call): ...

    load(user(measured("buy"), note=note), users=1, seconds=20)
    assert idle(caplog) == [('@before_call("sell")', "")]


def test_who_could_not_connect_has_misspelt_nothing(caplog):
    def refused(self):
        raise OSError("nobody is there")

    hook = before_call("buy")(lambda self, call: None)
    load(user(measured("buy"), connect=refused, hook=hook), users=1, seconds=20)
    assert idle(caplog) == []


def test_each_test_is_looked_at_by_itself(caplog, locust_env):
    names = ["buy", "sell"]
    Person = user(lambda self: measured(names[0])(self), hook=before_call("buy")(lambda *_: None))
    locust_env.user_classes = [Person]
    attach(locust_env)
    runner = locust_env.create_local_runner()
    for expected in ([], [('@before_call("buy")', "")]):
        caplog.clear()
        ended = gevent.event.Event()
        locust_env.events.request.add_listener(lambda ended=ended, **_: ended.set())
        runner.start(1, spawn_rate=1, wait=True)
        assert ended.wait(20)
        runner.stop()
        assert idle(caplog) == expected
        del names[0]


def test_the_hooks_of_all_workers_are_added_up(run_locust):
    run = run_locust(
        """
        from locust import constant, task
        from protouser import ProtocolUser, before_call

        class Buyer(ProtocolUser):
            wait_time = constant(0.1)

            @before_call("first")
            @before_call("second")
            @before_call("third")
            def note(self, call): ...

            @task
            def buy(self):
                index = self.environment.runner.worker_index
                with self.measure(["first", "second"][index]): ...
        """,
        *("-u", "2", "-t", "4s", "--processes", "2"),
    )
    said = [line for line in run.stderr.splitlines() if "selected no call" in line]
    assert len(said) == 1
    assert 'Buyer.note (locustfile.py:8), @before_call("third"), has selected no call' in said[0]
