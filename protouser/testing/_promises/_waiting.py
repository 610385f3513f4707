"""Promises about waiting: what is measured, who else may run, and how a wait ends early."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import pytest

from protouser._call import now
from protouser._figures import CANCELLED, FAILURE, SUCCESS
from protouser.testing._promises._setting import STALL, Setting, needs, takes_options
from protouser.testing._promises._stage import CONNECT, Stage, attempt, person, visit

__all__ = ["WaitingPromises"]

#: More than the ten threads that gevent has for everything that blocks.
_CROWD = 12

#: A busy machine may be late once; a client that blocks is late every time.
_TRIES = 3


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
    def test_while_a_user_waits_the_others_run(self, stage: Stage) -> None:
        """Else all users wait for one: the load collapses, and every number contains the others."""
        client = stage.open()
        gap = _best(lambda: _longest_gap(lambda: self.dawdle(client, STALL)), STALL / 2)
        assert gap < STALL / 2, (
            f"while one user waited {STALL:g} s no other ran for {gap:.3f} s: the client"
            " blocks the event loop. Use Python's sockets, which gevent makes cooperative, or call"
            " a blocking C library in native threads"
        )

    @needs("dawdle")
    def test_a_crowd_waits_no_longer_than_one(self, stage: Stage) -> None:
        """Else a lock or a small pool of threads makes users queue inside the load generator."""
        clients = [stage.open() for _ in range(_CROWD)]
        spent = _best(lambda: self._together(clients), 1.75 * STALL)
        assert spent < 1.75 * STALL, (
            f"{_CROWD} users who wait {STALL:g} s at the same time took {spent:.3f} s: they"
            " queue for something that they share, such as a lock, a connection, or gevent's ten"
            " threads. (Or the backend serves one connection at a time: start one that does not)"
        )

    @needs("dawdle")
    @pytest.mark.usefixtures("client_class")
    def test_a_call_cut_short_by_the_end_of_the_test_is_cancelled(self, url: str) -> None:
        """Else every test ends with successes that never were."""
        wait = partial(self.dawdle, seconds=5 * STALL)
        results, _ = visit(person(url, self.options), wait, 2, 2 * STALL)
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
    def test_a_call_that_times_out_is_a_failure(self, stage: Stage) -> None:
        """Else a server that hangs looks like a test with few, fast calls."""
        self._times_out(stage, stage.open(timeout=STALL), "self.timeout")
        if takes_options(self.dawdle):
            self._times_out(stage, stage.open(), "the method's timeout=", timeout=STALL)

    @needs("dawdle")
    def test_a_deadline_of_the_user_is_a_failure(self, stage: Stage) -> None:
        """Else `gevent.Timeout`, the deadline that testers know, is swallowed or lost."""
        client = stage.open()
        stage.forget()
        assert _ends_by_deadline(lambda: self.dawdle(client, 4 * STALL)), (
            "a gevent.Timeout of the caller did not come out of the call: catch Exception and never"
            " BaseException, or raise it again"
        )
        failures = [report.exception for report in stage.calls()]
        assert len(failures) == 1, f"a deadline was reported as {stage.calls()}"
        assert isinstance(failures[0], TimeoutError), (
            f"a deadline was reported as {failures[0]!r}, not as a TimeoutError"
        )

    @needs("dawdle", "replies")
    def test_a_late_answer_is_never_given_to_the_next_call(self, stage: Stage) -> None:
        """Else after one timeout every reply is that of the call before: all green, all wrong."""
        expected = self._told_apart(stage)
        for deadline in (True, False):
            client = stage.open(timeout=STALL)
            # the answer comes while the next call still waits for its own
            if deadline:
                attempt(_ends_by_deadline, partial(self.dawdle, client, STALL), STALL / 2)
            else:
                attempt(self.dawdle, client, 1.5 * STALL)
            for moment, pause in (("before", 0.0), ("after", STALL)):
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
        _, error = attempt(self.dawdle, client, 4 * STALL, **options)
        spent = now() - began
        assert error is not None, (
            f"{where} was {STALL:g} s, and a call of {4 * STALL:g} s succeeded: give it to every"
            " wait, and raise CallTimeout where it is over"
        )
        assert spent < 3 * STALL, f"{where} was {STALL:g} s and took effect after {spent:.3f} s"
        failures = [report.exception for report in stage.calls()]
        assert failures == [error], f"the timeout was reported as {stage.calls()}"

    def _together(self, clients: list[Any]) -> float:
        began = now()
        waiting = [gevent.spawn(self.dawdle, client, STALL) for client in clients]
        gevent.joinall(waiting, raise_error=True)
        return now() - began

    def _told_apart(self, stage: Stage) -> Any:
        client = stage.open()
        first, second, other = (
            self._reply(stage, exchange)
            for exchange in (
                lambda: self.succeed(client),
                lambda: self.succeed(client),
                lambda: self.dawdle(client, STALL / 4),
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


def _best(measure: Callable[[], float], limit: float) -> float:
    """The first of a few measurements that is below the limit, or else the lowest."""
    measured = [measure()]
    while measured[-1] >= limit and len(measured) < _TRIES:
        measured.append(measure())
    return min(measured)


def _longest_gap(work: Callable[[], Any]) -> float:
    """The longest time for which nothing else ran while some work did."""
    longest, last = 0.0, now()
    working = gevent.spawn(work)
    while not working.ready():
        gevent.sleep(STALL / 40)
        longest, last = max(longest, now() - last), now()
    working.get()
    return longest


def _ends_by_deadline(work: Callable[[], Any], seconds: float = STALL) -> bool:
    timeout = gevent.Timeout(seconds)
    try:
        with timeout:
            work()
    except gevent.Timeout as expired:
        return expired is timeout
    return False
