"""Promises about waiting: what is measured, who else may run, and how a wait ends early."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import pytest

from protouser._call import now
from protouser._figures import CANCELLED, FAILURE, SUCCESS
from protouser.testing._promises._setting import (
    STALL,
    Setting,
    needs,
    takes_options,
    tried_again_slowly,
)
from protouser.testing._promises._stage import CONNECT, Stage, attempt, person, visit

__all__ = ["WaitingPromises"]

#: More than the ten threads that gevent has for everything that blocks.
_CROWD = 12


class WaitingPromises(Setting):
    """What must hold while the backend takes its time."""

    @needs("dawdle")
    def test_the_response_time_is_the_wait(self, stage: Stage) -> None:
        """Else a reply that is read later, or a think time, makes the number a fiction."""
        client = stage.open()
        stage.forget()
        began = now()
        self.dawdle(client, STALL)
        spent = now() - began
        times = [report.response_time for report in stage.reports]
        assert times, "the exchange was not reported"
        assert spent > 0.9 * STALL, (
            f"dawdle(client, {STALL:g}) was over after {spent:.3f} s: it must wait for the reply"
        )
        recorded = (times[-1] or 0.0) / 1000
        assert recorded > 0.9 * STALL, (
            f"the reply took {STALL:g} s, and {recorded:.3f} s were recorded: read it inside the"
            " measured block, to its end"
        )
        assert recorded <= spent, (
            f"the call took {spent:.3f} s, and {recorded:.3f} s were recorded: measure nothing but"
            " the exchange"
        )

    @needs("dawdle")
    @tried_again_slowly
    def test_while_a_user_waits_the_others_run(self, stage: Stage) -> None:
        """Else all users wait for one: the load collapses, and every number contains the others."""
        client = stage.open()
        gap = _longest_gap(lambda: self.dawdle(client, self._stall), self._stall / 40)
        assert gap < self._stall / 2, (
            f"while one user waited {self._stall:g} s no other ran for {gap:.3f} s: the client"
            " blocks the event loop. Use Python's sockets, which gevent makes cooperative, or call"
            " a blocking C library in native threads"
        )

    @needs("dawdle")
    @tried_again_slowly
    def test_a_crowd_waits_no_longer_than_one(self, stage: Stage) -> None:
        """Else a lock or a small pool of threads makes users queue inside the load generator."""
        clients = [stage.open() for _ in range(_CROWD)]
        limit = 1.75 * self._stall
        assert self._together(clients, limit), (
            f"{_CROWD} users who wait {self._stall:g} s at the same time took {limit:g} s and more:"
            " they queue for something that they share, such as a lock, a connection, or gevent's"
            " ten threads. (Or the backend serves one connection at a time: start one that does"
            " not)"
        )

    @needs("dawdle")
    @tried_again_slowly
    @pytest.mark.usefixtures("client_class")
    def test_a_call_cut_short_by_the_end_of_the_test_is_cancelled(self, url: str) -> None:
        """Else every test ends with successes that never were."""
        begun: list[Any] = []

        def wait(client: Any) -> None:
            begun.append(client)
            if len(begun) == 2:
                gevent.spawn_later(self._stall, client.user.environment.runner.quit)
            self.dawdle(client, 5 * self._stall)

        results, _ = visit(person(url, self.options), wait, 2, 25 * self._stall)
        rows = [row for key, row in results.items() if key[1] != CONNECT]
        counts = {
            SUCCESS: sum(row.successes for row in rows),
            FAILURE: sum(row.failures for row in rows),
            CANCELLED: sum(row.cancelled for row in rows),
        }
        events = [report for report in results.reports if report.name != CONNECT]
        assert counts == {SUCCESS: 0, FAILURE: 0, CANCELLED: 2}, (
            f"the end of the test cut 2 calls short, and they were counted as {counts}: catch"
            " Exception and never BaseException (or raise it again), and stay inside the measured"
            " block until the reply is there"
        )
        assert not events, f"the end of the test cut 2 calls short, and they reported {events}"

    @needs("dawdle")
    @tried_again_slowly
    def test_a_call_that_times_out_is_a_failure(self, stage: Stage) -> None:
        """Else a server that hangs looks like a test with few, fast calls."""
        self._times_out(stage, stage.open(timeout=self._stall), "self.timeout")
        if takes_options(self.dawdle):
            self._times_out(stage, stage.open(), "the method's timeout=", timeout=self._stall)

    @needs("dawdle")
    @tried_again_slowly
    def test_a_deadline_of_the_user_is_a_failure(self, stage: Stage) -> None:
        """Else `gevent.Timeout`, the deadline that testers know, is swallowed or lost."""
        client = stage.open()
        stage.forget()
        assert _ends_by_deadline(lambda: self.dawdle(client, 4 * self._stall), self._stall), (
            "a gevent.Timeout of the caller did not come out of the call: catch Exception and never"
            " BaseException, or raise it again"
        )
        failures = [report.exception for report in stage.calls()]
        assert len(failures) == 1, f"a deadline was reported as {stage.calls()}"
        assert isinstance(failures[0], TimeoutError), (
            f"a deadline was reported as {failures[0]!r}, not as a TimeoutError"
        )

    @needs("dawdle", "replies")
    @tried_again_slowly
    def test_a_late_answer_is_never_given_to_the_next_call(self, stage: Stage) -> None:
        """Else after one timeout every reply is that of the call before: all green, all wrong."""
        expected = self._told_apart(stage)
        for deadline in (True, False):
            client = stage.open(timeout=self._stall)
            # the answer comes while the next call still waits for its own
            if deadline:
                attempt(
                    _ends_by_deadline, partial(self.dawdle, client, self._stall), self._stall / 2
                )
            else:
                attempt(self.dawdle, client, 1.5 * self._stall)
            for moment, pause in (("before", 0.0), ("after", self._stall)):
                gevent.sleep(pause)
                reply = self._next_reply(stage, client)
                assert reply == expected, (
                    f"a call timed out, and {moment} its answer came the next call returned"
                    f" {reply!r} instead of {expected!r}: where an exchange is left by an exception"
                    " (BaseException, for kills and deadlines), close the connection, or match"
                    " answers to calls by an id"
                )

    def _times_out(self, stage: Stage, client: Any, where: str, **options: float) -> None:
        stage.forget()
        began = now()
        _, error = attempt(self.dawdle, client, 4 * self._stall, **options)
        spent = now() - began
        assert error is not None, (
            f"{where} was {self._stall:g} s, and a call of {4 * self._stall:g} s succeeded: give it"
            " to every wait, and raise CallTimeout where it is over"
        )
        assert spent < 3 * self._stall, (
            f"{where} was {self._stall:g} s and took effect after {spent:.3f} s"
        )
        failures = [report.exception for report in stage.calls()]
        assert failures == [error], f"the timeout was reported as {stage.calls()}"

    def _together(self, clients: list[Any], limit: float) -> bool:
        """Whether clients who wait at the same time have all been answered within a limit."""
        began = now()
        waiting = [gevent.spawn(self.dawdle, client, self._stall) for client in clients]
        gevent.joinall(waiting, limit, raise_error=True)
        in_time = all(greenlet.ready() for greenlet in waiting) and now() - began < limit
        gevent.killall(waiting)
        return in_time

    def _told_apart(self, stage: Stage) -> Any:
        client = stage.open()
        first, second, other = (
            self._reply(stage, exchange)
            for exchange in (
                lambda: self.succeed(client),
                lambda: self.succeed(client),
                lambda: self.dawdle(client, self._stall / 4),
            )
        )
        assert first == second, f"succeed() must be answered alike, not {first!r} and {second!r}"
        assert first != other, (
            f"the replies to succeed() and dawdle() are both {first!r}; return from each what tells"
            " them apart, or declare unsupported = {'replies': 'the reason'}"
        )
        return first

    def _reply(self, stage: Stage, exchange: Callable[[], Any]) -> Any:
        """What an exchange returned or, where that is nothing, what its event carried."""
        stage.forget()
        reply = exchange()
        if reply is None and stage.reports:
            reply = stage.reports[-1].response
        return reply

    def _next_reply(self, stage: Stage, client: Any) -> Any:
        """The reply to the next call, over the old connection or else a new one."""
        reply, error = attempt(self._reply, stage, lambda: self.succeed(client))
        if error is None:
            return reply
        _, error = attempt(client.reopen)
        assert error is None, f"after a timeout reopen() failed with {error!r}"
        reply, error = attempt(self._reply, stage, lambda: self.succeed(client))
        assert error is None, (
            f"after a timeout and reopen() a call failed with {error!r}: connect() must start from"
            " scratch, with nothing of the old connection"
        )
        return reply


def _longest_gap(work: Callable[[], Any], step: float) -> float:
    """The longest time for which nothing else ran while some work did; looks at each step."""
    longest, last = 0.0, now()
    working = gevent.spawn(work)
    while not working.ready():
        gevent.sleep(step)
        longest, last = max(longest, now() - last), now()
    working.get()
    return longest


def _ends_by_deadline(work: Callable[[], Any], seconds: float) -> bool:
    timeout = gevent.Timeout(seconds)
    try:
        with timeout:
            work()
    except gevent.Timeout as expired:
        return expired is timeout
    return False
