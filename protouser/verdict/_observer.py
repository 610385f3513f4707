"""Looks, once a second, at how busy this process is and at what its users wait for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import process_time, thread_time
from typing import TYPE_CHECKING, Final

from protouser._call import now
from protouser._figures import SERVICE, Figures
from protouser._histogram import Histogram
from protouser._measured import QUEUE
from protouser._schedule import (
    DROPPED,
    LATE,
    SCHEDULE,
    SCHEDULER_LAG,
    STARTED,
)
from protouser._watchdog import Delays
from protouser.verdict._ledger import SWITCHING
from protouser.verdict._observation import Blocked, Busy, Observation, Waited

if TYPE_CHECKING:
    from protouser._session import Session

__all__ = ["Observer"]

_FEEDER: Final = "feeder"
_WAIT: Final = "wait"
#: What is less than this of a second says nothing.
_SHORTEST: Final = 0.1
#: What it may take to hand a call to a thread that is free, or to an asyncio loop: a turn of the
#: interpreter. It is most of the time of a call that is quick, and limits nothing.
_HAND_OVER: Final = SWITCHING
#: How many lines, calls or feeders one second may name.
_MOST: Final = 5

_Sum = tuple[float, int]


class Observer:
    """Observes the process of one session, from ``begin`` on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.begin()

    def begin(self) -> None:
        """What was before is of no interest."""
        self._at, self._cpu, self._hub = now(), process_time(), thread_time()
        self._kept_waiting = _kept_waiting()
        self._seen: dict[tuple[str, ...], _Sum] = {}
        self._session.take_delays()

    def observe(self, users: int) -> Observation | None:
        """What it was like since the last time; None if that was just now."""
        session, seconds = self._session, now() - self._at
        if seconds < _SHORTEST:
            return None
        began, cpu, hub = self._at, self._cpu, self._hub
        self._at, self._cpu, self._hub = now(), process_time(), thread_time()
        waiting, self._kept_waiting = self._kept_waiting, _kept_waiting()
        delays = session.take_delays()
        p50, p99, highest = _percentiles(delays)
        new = self._new_sums(session.kept)
        lag, lags = _of_all(new, SCHEDULER_LAG)
        started, late, dropped = (_of_all(new, each)[1] for each in (STARTED, LATE, DROPPED))
        return Observation(
            at=max(began - session.began, 0.0),
            seconds=seconds,
            users=users,
            cpu=(self._cpu - cpu) / seconds,
            hub=(self._hub - hub) / seconds,
            starved=-1.0 if waiting is None else ((self._kept_waiting or 0.0) - waiting) / seconds,
            lag_p50=p50,
            lag_p99=p99,
            lag_max=highest,
            scheduler_lag=lag / max(lags, 1),
            started=started,
            late=late,
            dropped=dropped,
            blocks=_blocks(delays),
            threads=_most(_threads(new)),
            data=_most(_data(new, users * seconds)),
            lines=_lines(delays),
        )

    def _new_sums(self, figures: Figures) -> dict[tuple[str, ...], _Sum]:
        """By (type, name, series) or (type, name, counter): seconds and number since last time."""
        sums = dict(_sums(figures))
        seen, self._seen = self._seen, sums
        new = {}
        for key, (seconds, count) in sums.items():
            before = seen.get(key, (0.0, 0))
            if count > before[1]:
                new[key] = (seconds - before[0], count - before[1])
        return new


def _kept_waiting() -> float | None:
    """For how many seconds this thread could have run and got no processor; only Linux says."""
    try:
        _, nanoseconds, _ = Path("/proc/thread-self/schedstat").read_text().split()
    except (OSError, ValueError):
        return None
    return int(nanoseconds) / 1e9


def _sums(figures: Figures) -> Iterator[tuple[tuple[str, ...], _Sum]]:
    queued = {key[:2] for key in figures.timed if key[2] == QUEUE}
    for key, histogram in figures.timed.items():
        row, series = key[:2], key[2]
        if key[0] in (SCHEDULE, _FEEDER) or (row in queued and series in (QUEUE, SERVICE)):
            yield key, _sum(histogram)
    for counter, value in figures.counters.items():
        if counter[0] == SCHEDULE:
            yield counter, (0.0, value)


def _sum(histogram: Histogram) -> _Sum:
    return histogram.mean * histogram.count / 1e9, histogram.count


def _of_all(new: dict[tuple[str, ...], _Sum], what: str) -> _Sum:
    """A series or counter of the schedules of all user classes together."""
    found = [value for key, value in new.items() if key[0] == SCHEDULE and key[2] == what]
    return sum(seconds for seconds, _ in found), sum(count for _, count in found)


def _threads(new: dict[tuple[str, ...], _Sum]) -> Iterator[Waited]:
    for row in {key[:2] for key in new if key[2] == QUEUE}:
        waited, waits = _of_row(new, row, QUEUE)
        whole, _ = _of_row(new, row, SERVICE)
        for_thread = waited if waited > _HAND_OVER * waits else 0.0
        if whole:  # what has no time of its own waited for its turn, and not for a thread
            yield Waited(f"{row[0]} {row[1]}".strip(), for_thread, waited + whole)


def _of_row(new: dict[tuple[str, ...], _Sum], row: tuple[str, ...], series: str) -> _Sum:
    """A series of one row, over all outcomes."""
    found = [value for key, value in new.items() if key[:2] == row and key[2] == series]
    return sum(seconds for seconds, _ in found), sum(count for _, count in found)


def _data(new: dict[tuple[str, ...], _Sum], of: float) -> Iterator[Waited]:
    for key, (seconds, _) in new.items():
        if key[0] == _FEEDER and key[2] == _WAIT:
            yield Waited(key[1], seconds, max(seconds, of))


def _most(waited: Iterator[Waited]) -> tuple[Waited, ...]:
    return tuple(sorted(waited, key=lambda each: -each.seconds)[:_MOST])


def _blocks(delays: Delays) -> tuple[Blocked, ...]:
    blocks = [Blocked(*place, *times) for place, times in delays.blocks.items()]
    return tuple(sorted(blocks, key=lambda block: -block.seconds)[:_MOST])


def _lines(delays: Delays) -> tuple[Busy, ...]:
    return tuple(Busy(*at, seen / delays.looks) for at, seen in delays.lines.most_common(_MOST))


def _percentiles(delays: Delays) -> tuple[float, float, float]:
    lags = sorted(delays.lags) or [0.0]
    return lags[len(lags) // 2], lags[int(len(lags) * 0.99)], lags[-1]
