"""Finds the line that blocks the event loop, while it does so.

All users of a process share one hub; code that waits without gevent's knowledge stops them all,
and every response time then contains that wait. The hub cannot tell itself that it is stuck. So a
timer in the hub leaves a stamp, and a native thread that sees the stamp grow old takes samples of
the stack of the hub's thread, until the stamp is fresh again.

Two things look the same and are none: a process that was stopped or starved of the processor, in
which the watching thread overslept too, though little processor time was used; and a hub that is
merely full of work, in which the samples show many greenlets and the processor was busy. Both end
without a finding.
"""

from __future__ import annotations

import functools
import linecache
import os
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import process_time
from types import FrameType
from typing import Any, Final, NamedTuple

import gevent
from gevent.hub import Hub

from protouser._call import now
from protouser._executors._native import forget_in_child, get_ident, native_sleep, start_thread

__all__ = ["Block", "Delays", "Place", "Watchdog", "debugger_attached", "is_library"]

_BEAT: Final = 0.02
_SHOUT_AFTER: Final = 5.0
_LONGEST_TICK: Final = 0.05
_STDERR: Final = 2
_MOSTLY: Final = 0.6
_HARDLY: Final = 0.1


@dataclass(frozen=True, slots=True)
class Block:
    """The event loop was blocked.

    Attributes:
        seconds: for how long.
        filename: where; the innermost line that is the user's own, if one is on the stack.
        line: its number.
        function: the function that it is in.
        source_line: its text, stripped; empty if the file cannot be read.
        via: the innermost frame, ``function (file:line)``; empty if it is the line itself.
    """

    seconds: float
    filename: str
    line: int
    function: str
    source_line: str
    via: str

    def advice(self) -> str:
        """What happened and what to do about it, for the log."""
        source = f': "{self.source_line}"' if self.source_line else ""
        via = f", via {self.via}" if self.via else ""
        return (
            f"the event loop was blocked for {self.seconds:.2f} s at "
            f"{self.filename}:{self.line} (in {self.function}{source}{via}); every user of this "
            "process waited, and the times measured meanwhile contain that wait. If the code "
            'waits for something, run it in a thread: self.timed(..., run="thread"); '
            "if it computes, use more worker processes"
        )


class Place(NamedTuple):
    """A line of code."""

    filename: str
    line: int
    function: str


@dataclass
class Delays:
    """How late the hub was in a while, and because of which lines.

    Attributes:
        lags: by how many seconds it came late to each beat of its timer.
        blocks: for how long each line blocked it, and the processor time used meanwhile.
        looks: how often the hub was seen at work.
        lines: and how often at each line of the user's own.
    """

    lags: list[float] = field(default_factory=list)
    blocks: dict[Place, tuple[float, float]] = field(default_factory=dict)
    looks: int = 0
    lines: Counter[Place] = field(default_factory=Counter)

    def add_block(self, place: Place, seconds: float, busy: float) -> None:
        """A line blocked the hub."""
        before = self.blocks.get(place, (0.0, 0.0))
        self.blocks[place] = (before[0] + seconds, before[1] + busy)


class Watchdog:
    """Watches the hub of the thread that starts it.

    ``on_block`` is called in a greenlet of its own, once per line that blocked the hub for longer
    than ``threshold`` seconds. May be started again after ``stop``, and in a child process.

    Attributes:
        max_lag: the longest time in seconds by which the hub came late to its timer.
        late: how many times it came later than the threshold.
        beats: how many times it came at all.
    """

    def __init__(self, on_block: Callable[[Block], None], threshold: float = 0.1) -> None:
        self.on_block = on_block
        self.threshold = threshold
        self.max_lag = 0.0
        self.late = 0
        self.beats = 0
        self._delays = Delays()
        self._beaten = now()
        self._tick = min(threshold / 4, _LONGEST_TICK)
        self._timer: Any = None
        self._watch: _Watch | None = None
        self._told: set[tuple[str, int]] = set()
        forget_in_child(self)

    def start(self) -> None:
        """Begin to watch; does nothing if it watches already."""
        if self._timer is not None:
            return
        self._watch = _Watch(self._tick)
        self._beaten = now()
        self._timer = gevent.get_hub().loop.timer(_BEAT, _BEAT, ref=False)
        self._timer.start(self._beat)
        start_thread(self._watch.run)

    def stop(self) -> None:
        """Watch no longer; the native thread ends at its next look, within 0.05 s."""
        if self._watch is not None:
            self._watch.ended = True
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        self._timer = self._watch = None

    def forget(self) -> None:
        """Stop in a child process, where the thread does not exist."""
        self.stop()

    def take_delays(self) -> Delays:
        """What was late since the last time that this was asked.

        Unlike the other figures it has all that was late, also while the process was stopped or
        starved of the processor.
        """
        taken, self._delays = self._delays, Delays()
        if self._watch is not None:
            taken.looks, taken.lines = self._watch.take_lines()
        return taken

    def _beat(self) -> None:
        watch = self._watch
        if watch is None:
            return
        beaten, self._beaten = self._beaten, now()
        self._delays.lags.append(max(0.0, self._beaten - beaten - _BEAT))
        gap, idle, busy, samples = watch.beat()
        self.beats += 1
        if idle:
            return
        self.max_lag = max(self.max_lag, gap - _BEAT)
        if gap <= self.threshold:
            return
        self.late += 1
        culprit = samples.culprit(computes=busy > _HARDLY * gap)
        if culprit is None:
            return
        self._delays.add_block(culprit.place, gap, busy)
        if culprit.place[:2] not in self._told:
            self._told.add(culprit.place[:2])
            gevent.spawn(self._tell, gap, culprit)

    def _tell(self, seconds: float, sample: _Sample) -> None:
        filename, line, function = sample.place
        source = linecache.getline(filename, line).strip()
        self.on_block(Block(seconds, filename, line, function, source, sample.via))


class _Sample(NamedTuple):
    place: Place
    via: str
    own: bool


class _Samples:
    """What was on the stack while the stamp was old, and for how long each.

    The outermost frame tells one greenlet from another. It is held until the hub comes round, as
    the next greenlet's might else be made at the same address.
    """

    def __init__(self) -> None:
        self._shares: Counter[tuple[FrameType, _Sample]] = Counter()
        self._roots: Counter[FrameType] = Counter()

    def add(self, root: FrameType, sample: _Sample, microseconds: int) -> None:
        self._shares[root, sample] += microseconds
        self._roots[root] += microseconds

    def culprit(self, computes: bool) -> _Sample | None:
        """The commonest sample of the greenlet that ran all the time; None if there was none.

        If nothing was computed meanwhile, the greenlets that waited one after another did what
        none of them may, and the line is that at which most of them did.
        """
        for root, share in self._roots.most_common(1):
            if share >= _MOSTLY * self._roots.total():
                return next(key[1] for key, _ in self._shares.most_common() if key[0] is root)
        return None if computes else self._common_place()

    def _common_place(self) -> _Sample | None:
        shares: Counter[_Sample] = Counter()
        for (_, sample), share in self._shares.items():
            shares[sample] += share
        for sample, share in shares.most_common(1):
            if share >= _MOSTLY * shares.total():
                return sample
        return None


class _Watch:
    """One run of the native thread; ``beat`` is the hub's side, everything else the thread's."""

    def __init__(self, tick: float) -> None:
        self.ended = False
        self._tick = tick
        self._hub = get_ident()
        self._beaten = self._looked = self._resumed = now()
        self._cpu = process_time()
        self._samples = _Samples()
        self._shouted: set[Place] = set()
        self._looks = 0
        self._lines: Counter[Place] = Counter()

    def take_lines(self) -> tuple[int, Counter[Place]]:
        """How often the hub was at work since the last time, and at which lines."""
        looks, lines = self._looks, self._lines
        self._looks, self._lines = 0, Counter()
        return looks, lines

    def beat(self) -> tuple[float, bool, float, _Samples]:
        """Leave a stamp.

        Returns the time since the last one, whether nothing ran meanwhile, the processor time
        used, and the samples.
        """
        beaten, cpu, samples = max(self._beaten, self._resumed), self._cpu, self._samples
        self._samples = _Samples()
        self._cpu = process_time()
        self._beaten = now()
        gap = self._beaten - beaten
        overslept = self._beaten - self._looked > max(gap / 2, 2 * self._tick)
        busy = self._cpu - cpu
        return gap, overslept and busy < gap * _HARDLY, busy, samples

    def run(self) -> None:
        while not self.ended:
            cpu = process_time()
            native_sleep(self._tick)
            looked, self._looked = self._looked, now()
            slept = self._looked - looked
            self._note(_sample(self._hub))
            if slept > 3 * self._tick and process_time() - cpu < slept * _HARDLY:
                self._samples = _Samples()
                self._resumed = self._looked
            elif self._looked - self._beaten > _BEAT + self._tick:
                self._look(slept)

    def _note(self, found: tuple[FrameType, _Sample] | None) -> None:
        if found is not None:
            self._looks += 1
            if found[1].own:
                self._lines[found[1].place] += 1

    def _look(self, slept: float) -> None:
        beaten, samples = self._beaten, self._samples
        found = _sample(self._hub)
        if found is None or beaten != self._beaten:
            return
        root, sample = found
        samples.add(root, sample, int(slept * 1e6))
        blocked = self._looked - max(beaten, self._resumed)
        if blocked > _SHOUT_AFTER and sample.place not in self._shouted:
            self._shouted.add(sample.place)
            _shout(blocked, sample)


def debugger_attached() -> bool:
    """Return whether a debugger may stop this process, which then is no finding."""
    monitoring = getattr(sys, "monitoring", None)
    return (
        sys.gettrace() is not None
        or "pydevd" in sys.modules
        or (monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None)
    )


def _sample(ident: int) -> tuple[FrameType, _Sample] | None:
    """What the thread runs; None if it is the hub itself, which waits or wants its turn."""
    frame = sys._current_frames().get(ident)
    if frame is None or frame.f_code is Hub.run.__code__:
        return None
    innermost = _place_of(frame)
    place: Place | None = None
    root = frame
    walked: FrameType | None = frame
    while walked is not None:
        if walked.f_code is Watchdog._beat.__code__:
            return None  # the beat itself: the process wants the processor
        if place is None and not is_library(walked.f_code.co_filename):
            place = _place_of(walked)
        root, walked = walked, walked.f_back
    via = "" if place in (None, innermost) else _described(innermost)
    return root, _Sample(place or innermost, via, place is not None)


def _place_of(frame: FrameType) -> Place:
    return Place(frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_name)


def _described(place: Place) -> str:
    return f"{place.function} ({place.filename}:{place.line})"


def _shout(seconds: float, sample: _Sample) -> None:
    """Write at once, without a lock that the hub may hold: perhaps it never comes back."""
    line = (
        f"protouser: the event loop is blocked since {seconds:.0f} s at {_described(sample.place)}"
    )
    os.write(_STDERR, f"{line}\n".encode(errors="replace"))


@functools.cache
def is_library(filename: str) -> bool:
    """Whether a file is the standard library's, an installed package's or protouser's own."""
    if filename.startswith("<frozen "):
        return True
    return filename.startswith(_library_folders()) or any(
        f"{os.sep}{name}{os.sep}" in filename for name in ("site-packages", "dist-packages")
    )


@functools.cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders.add(os.path.dirname(os.path.abspath(__file__)))
    folders |= {os.path.realpath(folder) for folder in folders}
    return tuple(sorted(folder + os.sep for folder in folders))
