"""What one second was like for a process that runs users: plain numbers that travel."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any, Final, NamedTuple, Self

__all__ = ["Blocked", "Busy", "Observation", "Waited"]


class Blocked(NamedTuple):
    """A line blocked the event loop for some seconds, ``busy`` of them on a processor."""

    filename: str
    line: int
    function: str
    seconds: float
    busy: float


class Busy(NamedTuple):
    """For what share of the time that the event loop's thread worked it was at a line."""

    filename: str
    line: int
    function: str
    share: float


class Waited(NamedTuple):
    """For how many seconds something was waited for, and how many seconds it was waited in."""

    name: str
    seconds: float
    of: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One second of one process, or the part of one with which the test ended.

    Attributes:
        at: when it began, in seconds of the test.
        seconds: how long it was.
        users: how many were there.
        cpu: processor time of the process in cores; 1.0 is one core all the time.
        hub: the same of the event loop's own thread.
        starved: for what share of the time that thread could have run and got no processor;
            negative where the system does not say.
        lag_p50: by how many seconds the event loop came late to a timer of its own,
        lag_p99: and the same as a 99th percentile,
        lag_max: and at most.
        scheduler_lag: how late iterations began though a user was waiting, in seconds; the mean.
        started: iterations that a schedule let begin.
        late: those of them that began late, as every user was busy.
        dropped: iterations that the schedule left out for that reason.
        blocks: which lines blocked the event loop.
        threads: by call, how long it waited for a free thread, of its whole time.
        data: by feeder, how long users waited for a row, of all users' time.
        lines: where the event loop's thread worked, of the lines that are the user's own.
    """

    at: float
    seconds: float
    users: int = 0
    cpu: float = 0.0
    hub: float = 0.0
    starved: float = -1.0
    lag_p50: float = 0.0
    lag_p99: float = 0.0
    lag_max: float = 0.0
    scheduler_lag: float = 0.0
    started: int = 0
    late: int = 0
    dropped: int = 0
    blocks: tuple[Blocked, ...] = ()
    threads: tuple[Waited, ...] = ()
    data: tuple[Waited, ...] = ()
    lines: tuple[Busy, ...] = ()

    def to_wire(self) -> list[Any]:
        """Lists, text and numbers only."""
        *numbers, blocks, threads, data, lines = astuple(self)
        lists = (blocks, threads, data, lines)
        return [*numbers, *([list(each) for each in many] for many in lists)]

    @classmethod
    def from_wire(cls, flat: list[Any]) -> Self:
        """What ``to_wire`` wrote."""
        values: dict[str, Any] = dict(zip([field.name for field in fields(cls)], flat, strict=True))
        for name, kind in _TUPLES.items():
            values[name] = tuple(kind(*each) for each in values[name])
        return cls(**values)


_TUPLES: Final[dict[str, Any]] = {
    "blocks": Blocked,
    "threads": Waited,
    "data": Waited,
    "lines": Busy,
}
