"""Promises about connections: how they are reported, fail, end, and what they leave behind."""

from __future__ import annotations

import logging

import gevent
import pytest

from protouser._client import ProtocolClient
from protouser.testing._promises._belongings import Watch
from protouser.testing._promises._places import Line, Place, Silence
from protouser.testing._promises._setting import STALL, Setting, needs, tried_again_slowly
from protouser.testing._promises._stage import Stage, attempt, person, visit

__all__ = ["ConnectionPromises"]

_SECRET = "hunter2"


class ConnectionPromises(Setting):
    """What must hold from connect to close."""

    def test_a_connect_is_one_successful_row(
        self, client_class: type[ProtocolClient], stage: Stage
    ) -> None:
        """Else connects are missing, counted twice, or mixed with the calls."""
        stage.open()
        assert [report.name for report in stage.reports] == ["connect"], (
            f'connecting reported {stage.reports}: exactly one row "connect" is expected, which'
            " the core makes around connect(); report nothing there"
        )
        report = stage.reports[0]
        assert report.request_type == client_class.protocol, f"its type is {report.request_type!r}"
        assert report.exception is None, f"it failed: {report.exception!r}"

    @needs("refusal")
    def test_an_unreachable_host_is_one_failed_connect(self, stage: Stage, nobody: Place) -> None:
        """Else a dead backend is invisible, or costs a descriptor per attempt."""
        timeout = 25 * STALL
        texts: list[str] = []
        with gevent.Timeout(2 * timeout, _late("connect() to nobody", timeout)):
            texts.append(self._refused(stage, nobody, timeout))
            with Watch() as watch:
                texts.extend(self._refused(stage, nobody, timeout) for _ in range(3))
                left = watch.left(spare=2, seconds=10 * STALL)
        assert not left, (
            f"3 connects that failed left {left}: hand what connect() opens to self.resources at"
            " once, before the next step that can fail, or close it where that fails"
        )
        assert len(set(texts)) == 1, f"each makes a row of its own in the failures table: {texts}"
        assert nobody.host in texts[0], (
            f'the error does not name the host: {texts[0]!r}; raise ConnectFailed(f"cannot'
            ' connect to {self.url}: ...") from the original'
        )

    @needs("silence")
    @tried_again_slowly
    def test_a_silent_host_is_given_up_in_time(self, stage: Stage, silence: Silence) -> None:
        """Else one hanging server stops its users for ever, without a single failure."""
        limit = 10 * self._stall
        stage.forget()
        with gevent.Timeout(limit, _late("a silent server", self._stall)):
            client, error = attempt(stage.open, silence.url, timeout=self._stall)
            if error is None:
                stage.forget()
                _, error = attempt(self.succeed, client)
        assert error is not None, "nobody answered, and the call returned as if somebody had"
        assert _failures(stage) == [error], (
            f"giving up on a silent server was reported as {stage.reports}: one failure with the"
            " exception that is raised is expected"
        )

    @needs("dawdle", "loss")
    @tried_again_slowly
    def test_a_lost_connection_is_a_failure(self, stage: Stage, line: Line) -> None:
        """Else the end of a stream is read as an empty answer, or waited through to the timeout."""
        client = stage.open(line.url)
        stage.forget()
        waiting = gevent.spawn(attempt, self.dawdle, client, 8 * self._stall)
        gevent.sleep(self._stall)
        line.cut()
        waiting.join(5 * self._stall)
        in_time = waiting.ready()
        waiting.kill()
        assert in_time, (
            "the server ended the connection, and the call went on waiting: look for the end of"
            " the stream where you read"
        )
        result, error = waiting.get()
        assert error is not None, (
            f"the server ended the connection, and the call returned {result!r}: raise"
            " ConnectionLost where a read finds the end of the stream"
        )
        assert _failures(stage) == [error], f"it was reported as {stage.reports}"
        _, error = attempt(self.succeed, client)
        if error is not None:
            client.reopen()
            self.succeed(client)

    def test_users_own_their_connections(self, stage: Stage) -> None:
        """Else users share a connection: fewer connections than users, and one takes all down."""
        first, second = stage.open(), stage.open()
        self.succeed(first)
        first.close()
        first.close()
        stage.forget()
        _, error = attempt(self.succeed, second)
        assert error is None, (
            f"closing one client broke another ({error!r}): keep the connection on the instance,"
            " not on the class or the module"
        )

    @pytest.mark.usefixtures("client_class")
    def test_nothing_is_left_behind(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        """Else a long test, or one with many short sessions, runs out of descriptors or memory."""
        with caplog.at_level(logging.WARNING, logger="protouser._closing"):
            self._come_and_go(url)
            with Watch() as watch:
                for _ in range(3):
                    self._come_and_go(url)
                left = watch.left(spare=2, seconds=10 * STALL)
        assert not left, (
            f"9 users who came and went left {left}: what connect() opens or starts goes to"
            " self.resources (enter_context, or callback for what is no context manager)"
        )
        trouble = [r.getMessage() for r in caplog.records if r.name == "protouser._closing"]
        assert not trouble, f"closing had trouble: {trouble}"

    def test_a_password_is_never_shown(
        self, stage: Stage, nobody: Place, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Else it stands in the log, the failures table and the report that is passed around."""
        shown: list[object] = []
        with caplog.at_level(logging.DEBUG):
            for place in (url, nobody.url):
                client, error = attempt(stage.open, _with_password(place), timeout=10 * STALL)
                shown += [client, getattr(client, "url", ""), *_chain(error)]
                if client is not None:
                    result, error = attempt(self.succeed, client)
                    shown += [result, *_chain(error)]
        shown += [*stage.reports, *(_chain(report.exception) for report in stage.reports)]
        texts = [f"{thing} {thing!r}" for thing in shown] + [caplog.text]
        leaks = [text for text in texts if _SECRET in text]
        assert not leaks, (
            f"the password of the URL is shown: {leaks[0].replace(_SECRET, '<password>')}; write"
            " self.url, which hides it, into messages"
        )

    def _refused(self, stage: Stage, nobody: Place, timeout: float) -> str:
        stage.forget()
        _, error = attempt(stage.open, nobody.url, timeout=timeout)
        assert error is not None, (
            "nobody listens there, and connect() returned as if somebody did: let it raise"
        )
        names = [report.name for report in stage.reports]
        assert names == ["connect"], (
            f'an unreachable host reported {stage.reports}: one failed "connect" is expected; the'
            " core makes it from what connect() raises"
        )
        assert _failures(stage) == [error], f"the connect was reported as {stage.reports}"
        return str(error)

    def _come_and_go(self, url: str) -> None:
        results, errors = visit(person(url, self.options), self.succeed, 3, 50 * STALL)
        failed = [report for report in results.reports if report.exception is not None]
        assert results.reports, "no user got as far as a call"
        assert not failed + errors, f"a load of 3 users failed: {failed + errors}"


def _failures(stage: Stage) -> list[BaseException | None]:
    return [report.exception for report in stage.reports]


def _late(what: str, timeout: float) -> BaseException:
    return pytest.fail.Exception(
        f"{what} was waited for much longer than the timeout of {timeout:g} s: give self.timeout to"
        " every wait"
    )


def _with_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://ann:{_SECRET}@{rest.rpartition('@')[2]}"


def _chain(error: BaseException | None) -> list[BaseException]:
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
