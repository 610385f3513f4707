"""What happens in the demonstration as its request events tell it, sorted by what was planned."""

from __future__ import annotations

from locust.env import Environment

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any

from protouser.demo._progress import Moment

__all__ = ["Observed"]

_RATE_OVER = 3.0


class Observed:
    """Counts calls and failures of an environment; knows which failures belong to the show.

    Attributes:
        calls: all request events.
        on_purpose, unexpected: failures by (type, name, reason).
        errors: what users raised outside of any call, and how often.
    """

    def __init__(self, environment: Environment, planned: Mapping[str, str]) -> None:
        self.calls = 0
        self.on_purpose: Counter[tuple[str, str, str]] = Counter()
        self.unexpected: Counter[tuple[str, str, str]] = Counter()
        self.errors: Counter[str] = Counter()
        self._planned = planned
        self._recent: deque[tuple[float, int]] = deque([(0.0, 0)])
        environment.events.request.add_listener(self._count_call)
        environment.events.user_error.add_listener(self._count_error)

    def moment(self, elapsed: float) -> Moment:
        """The figures at the age of ``elapsed`` seconds; the rate is that of the last few."""
        self._recent.append((elapsed, self.calls))
        while len(self._recent) > 2 and self._recent[1][0] <= elapsed - _RATE_OVER:
            self._recent.popleft()
        since, calls = self._recent[0]
        rate = (self.calls - calls) / max(elapsed - since, 1e-9)
        unexpected = self.unexpected.total() + self.errors.total()
        return Moment(elapsed, self.calls, rate, self.on_purpose.total() + unexpected, unexpected)

    def explanations(self) -> Iterator[str]:
        """A line for each kind of failure that belongs to the show."""
        for (type_, name, reason), count in sorted(self.on_purpose.items()):
            why = self._planned[reason]
            yield f"{type_} {name} fails on purpose ({_times(count)}): {why}."

    def complaints(self) -> Iterator[str]:
        """A line for each kind of failure and error that does not."""
        for (type_, name, reason), count in self.unexpected.most_common():
            yield f"{type_} {name} failed {_times(count)}: {reason}"
        for error, count in self.errors.most_common():
            yield f"a user failed {_times(count)}: {error}"

    def _count_call(
        self, request_type: str, name: str, exception: BaseException | None, **_event: Any
    ) -> None:
        self.calls += 1
        if exception is not None:
            reason = str(exception) or type(exception).__name__
            failures = self.on_purpose if reason in self._planned else self.unexpected
            failures[request_type, name, reason] += 1

    def _count_error(self, exception: BaseException, **_event: Any) -> None:
        self.errors[f"{type(exception).__name__}: {exception}"] += 1


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
