"""Promises about one call: one exchange, one event, and who may decide about it."""

from __future__ import annotations

from locust.exception import CatchResponseError

from typing import Any

import pytest

from protouser._call import Call
from protouser._client import ProtocolClient
from protouser._errors import CallSkipped
from protouser._figures import ONE_WAY, SKIPPED
from protouser._hooks import before_call
from protouser._user import ProtocolUser
from protouser.testing._promises._setting import Setting, needs, takes_options
from protouser.testing._promises._stage import CONNECT, Stage, attempt, person
from protouser.testing._results import Report

__all__ = ["CallPromises"]


class CallPromises(Setting):
    """What must hold for every call, whatever it does."""

    def test_a_success_is_one_event(self, client_class: type[ProtocolClient], stage: Stage) -> None:
        """Else calls are missing from the statistics, or counted twice."""
        report = _only_report(stage, self.succeed)
        assert report.exception is None, f"a success was reported as {report.exception!r}"
        assert report.request_type == client_class.protocol, (
            f"its type is {report.request_type!r}, not the client's {client_class.protocol!r}"
        )
        assert report.name, "its row has no name"
        assert report.response_time is not None, "it was reported as one-way, without a time"
        assert report.response_time > 0, f"it is said to have taken {report.response_time} ms"

    @needs("fail")
    def test_a_failure_is_one_event_with_its_exception(self, stage: Stage) -> None:
        """Else errors are swallowed, or a success is counted before the reply was looked at."""
        client = stage.open()
        stage.forget()
        _, raised = attempt(self.fail, client)
        report = _only(stage.reports, "an exchange that the backend refuses")
        assert report.exception is not None, (
            "the backend refused, and it was reported as a success: raise inside the measured"
            " block, or pass check="
        )
        if not isinstance(report.exception, CatchResponseError):
            assert raised is report.exception, (
                f"{report.exception!r} was reported and {raised!r} reached the caller; let the very"
                " exception go on, so that the task ends and nothing is counted twice"
            )

    @needs("fail")
    def test_the_same_failure_is_one_row(self, stage: Stage) -> None:
        """Else ports, ids and times in messages make a failures table as long as the test."""
        for _ in range(2):
            attempt(self.fail, stage.open())
        texts = {f"{report.exception}" for report in stage.calls() if report.exception}
        assert len(texts) <= 1, (
            f"the same failure of two users reads {' and '.join(sorted(texts))}: leave out of the"
            " message what differs from call to call, or choose a fail() that does not differ"
        )

    def test_hooks_rename_and_veto_calls(self, client_class: type, url: str) -> None:
        """Else `@before_call` is silently without effect for this protocol."""
        with Stage(person(url, self.options, _Renaming)) as stage:
            report = _only_report(stage, self.succeed)
            assert report.name == "renamed", (
                f"a hook renamed the call, and it was reported as {report.name!r}: make the"
                " exchange inside self.measure() or self.perform(), which ask the hooks"
            )
        with Stage(person(url, self.options, _Vetoing)) as stage:
            _, error = attempt(self.succeed, stage.open())
            assert error is None or isinstance(error, CallSkipped), f"a veto became {error!r}"
            assert (stage.calls(), stage.count(SKIPPED)) == ([], 1), (
                f"a hook vetoed a call, {stage.count(SKIPPED)} calls were skipped and"
                f" {stage.calls()} were reported: do nothing before self.measure() or"
                " self.perform() has asked the hooks"
            )

    def test_the_common_options_are_honoured(self, stage: Stage) -> None:
        """Else `name=`, `check=`, `context=` and `catch_response=` differ from client to client."""
        client = stage.open()
        seen: list[Any] = []
        options = {"name": "renamed", "check": lambda reply: seen.append(reply)}
        result, error = self._with_options(stage, client, context={"row": 7}, **options)
        assert error is None, (
            f"a call with name=, check= and context= raised {error!r}: take name= as a parameter,"
            " and hand the others to self.perform(); a check that says no does not raise"
        )
        report = _only(stage.reports, "a call with options")
        assert report.name == "renamed", f"name= had no effect: the row is {report.name!r}"
        assert report.context.get("row") == 7, f"context= had no effect: {report.context}"
        assert isinstance(report.exception, CatchResponseError), (
            f"check= had no effect: it said no, and the call was reported as {report.exception!r}"
        )
        assert seen == [result], f"the check saw {seen}, and the caller got {result!r}"
        stage.forget()
        call, error = self._with_options(stage, client, catch_response=True)
        assert isinstance(call, Call), f"with catch_response= it returns {call!r}, not the Call"
        with call:
            call.failure("not as expected")
        report = _only(stage.reports, "a call with catch_response=")
        assert str(report.exception) == "not as expected", f"reported was {report.exception!r}"

    def test_a_one_way_message_has_no_response_time(self, stage: Stage) -> None:
        """Else thousands of sends that took no time pull every percentile to zero."""
        report = _only_report(stage, self.one_way)
        assert report.exception is None, f"it failed: {report.exception!r}"
        assert report.response_time is None, (
            f"nothing answers it, and it was reported with {report.response_time} ms: measure it"
            " with one_way=True"
        )
        assert stage.count(ONE_WAY) == 1, f"{stage.count(ONE_WAY)} were counted as one-way"

    def _with_options(
        self, stage: Stage, client: Any, **options: Any
    ) -> tuple[Any, Exception | None]:
        if not takes_options(self.succeed):
            pytest.skip("succeed() takes no **options to pass on: name=, check= ... are not tried")
        stage.forget()
        return attempt(self.succeed, client, **options)


class _Renaming(ProtocolUser):
    abstract = True

    @before_call
    def rename(self, call: Call) -> None:
        """Give the call another name."""
        if call.name != CONNECT:
            call.name = "renamed"


class _Vetoing(ProtocolUser):
    abstract = True

    @before_call
    def veto(self, call: Call) -> None:
        """Let nothing but the connect happen."""
        if call.name != CONNECT:
            call.skip("the contract says so")


def _only_report(stage: Stage, exchange: Any) -> Report:
    client = stage.open()
    stage.forget()
    exchange(client)
    return _only(stage.reports, "one exchange")


def _only(reports: list[Report], what: str) -> Report:
    assert len(reports) == 1, (
        f"{what} reported {len(reports)} events: {reports}; exactly one is expected, so make the"
        " whole exchange inside one self.measure() or self.perform()"
    )
    return reports[0]
