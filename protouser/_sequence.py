"""Messages that are to come one after the other, each within its own time and a sample of its own.

A step is not timed from the start of all: a slow first message would make every later one look slow
as well, and no row could be compared with that of another sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

from protouser._call import Call, now
from protouser._checks import Check
from protouser._errors import ConfigurationError
from protouser._message_source import MessageSource
from protouser._reader import Match
from protouser._request import Request

__all__ = ["Sequence", "Step", "expected"]


class Step(NamedTuple):
    """One message of a sequence; ``expected`` makes it."""

    match: Match | None
    timeout: float | None
    name: str | None
    check: Check | None


def expected(
    match: Match | None = None,
    *,
    timeout: float | None = None,
    name: str | None = None,
    check: Check | None = None,
) -> Step:
    """A message of a ``sequence``, within ``timeout`` seconds of the one before.

    Raises:
        ConfigurationError: the timeout is no number of seconds.
    """
    if timeout is not None and not (isinstance(timeout, int | float) and timeout >= 0):
        raise ConfigurationError(f"timeout={timeout!r} is no number of seconds")
    return Step(match, timeout, name, check)


class Sequence:
    """Steps that were asked for; ``wait``, or the end of its block, waits for all of them.

    Attributes:
        messages: what has arrived, in the order of the steps.
    """

    def __init__(
        self,
        measure: Callable[..., Call],
        source: MessageSource[Any],
        steps: tuple[Step | Match, ...],
        row: str,
        timeout: float | None,
    ) -> None:
        if not steps:
            raise ConfigurationError("a sequence has at least one step: expected(match)")
        self.messages: list[Any] = []
        self._measure = measure
        self._source = source
        self._steps = [step if isinstance(step, Step) else expected(step) for step in steps]
        self._row = row
        self._timeout = timeout
        self._since = now()
        self._call = self._begin(0, self._since)
        self._waited = False
        try:
            matches = [step.match for step in self._steps]
            self._expected = source.inbox.expect_in_order(matches, self._since)
        except BaseException as error:
            source.note_end(error)
            self._call.end(error)
            raise

    def wait(self) -> list[Any]:
        """Wait for all messages and return them; a second time they are returned again.

        Raises:
            CallTimeout: a step did not come in its time; later steps are not reported.
            ConnectionLost: the connection ended first.
        """
        if not self._waited:
            self._waited = True
            try:
                self._wait()
            except BaseException as error:
                self._source.note_end(error)
                self._call.end(error)
                self._cancel()
                raise
        return self.messages

    def _wait(self) -> None:
        since = self._since
        for number, (step, awaited) in enumerate(zip(self._steps, self._expected, strict=True)):
            if number:
                self._call = self._begin(number, since)
            call = self._call
            message, at, waited = awaited.wait(self._limit(step), since, "message")
            call.response = message
            call.stop(at)
            self._source.note_arrival(call, message, at, waited)
            self.messages.append(message)
            call.end()
            since = at

    def _limit(self, step: Step) -> float | None:
        return self._timeout if step.timeout is None else step.timeout

    def _begin(self, number: int, since: float) -> Call:
        step = self._steps[number]
        call = self._measure(
            step.name or f"{self._row} {number + 1}",
            request=Request(None, self._limit(step), step.match),
            check=step.check,
        ).begin()
        call.start(since)
        return call

    def _cancel(self) -> None:
        for awaited in reversed(self._expected[len(self.messages) :]):
            awaited.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.wait()
        elif not self._waited:
            self._waited = True
            self._cancel()
            self._call.cancel()
