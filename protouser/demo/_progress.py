"""What the demonstration shows while it runs: a bar on a terminal, else a line now and then.

Both write to the standard error, so that the standard output holds the results alone.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Moment", "Screen", "screen", "warnings_on"]

_SECONDS_BETWEEN_LINES = 5.0
_WIDEST_BAR = 40
#: What stands beside the bar, and room for the "^C" that a terminal shows in the same line.
_WIDTH_OF_FIGURES = 62


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of the test at one moment; ``unexpected`` is a share of ``failures``."""

    elapsed: float
    calls: int
    rate: float
    failures: int
    unexpected: int

    def counts(self) -> str:
        """The figures in words."""
        failed = f"{self.failures:,} failed"
        if self.unexpected:
            failed += f", {self.unexpected:,} UNEXPECTED"
        elif self.failures:
            failed += " on purpose"
        return f"{self.calls:,} calls  {self.rate:,.0f}/s  {failed}"


class Screen(Protocol):
    """Where the demonstration writes while it runs."""

    def say(self, line: str) -> None:
        """Write a line; a bar stays below it."""

    def begin(self, seconds: float) -> None:
        """The test begins, and is to take so long."""

    def show(self, moment: Moment) -> None:
        """The test has come so far."""

    def end(self) -> None:
        """The test is over, or was broken off; what was shown last stays."""


def screen() -> Screen:
    """A bar where the standard error is a terminal and rich is installed, else lines."""
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        return Lines()
    console = Console(stderr=True, highlight=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return Bar(console)
    return Lines()


class Lines:
    """A line every few seconds, for logs and plain terminals."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._next = 0.0

    def say(self, line: str) -> None:
        """Write it as it is."""
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def begin(self, seconds: float) -> None:
        """The first line is due after some seconds."""
        self._seconds = seconds
        self._next = min(_SECONDS_BETWEEN_LINES, seconds)

    def show(self, moment: Moment) -> None:
        """Write a line when the next one is due."""
        if moment.elapsed >= self._next:
            self._next += _SECONDS_BETWEEN_LINES
            self.say(f"{moment.elapsed:4.0f} of {self._seconds:g} s  {moment.counts()}")

    def end(self) -> None:
        """Nothing is left to do."""


class Bar:
    """A bar with live figures, by rich."""

    def __init__(self, console: Any) -> None:
        self._console = console
        self._progress: Any = None
        self._task: Any = None

    def say(self, line: str) -> None:
        """Write it above the bar; the terminal wraps it."""
        self._console.print(line, markup=False, soft_wrap=True)

    def begin(self, seconds: float) -> None:
        """Draw the bar."""
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(
            BarColumn(min(_WIDEST_BAR, max(1, self._console.width - _WIDTH_OF_FIGURES))),
            TextColumn("{task.completed:.0f} of {task.total:g} s  {task.fields[counts]}"),
            console=self._console,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=seconds, counts="")
        self._progress.start()

    def show(self, moment: Moment) -> None:
        """Draw it anew."""
        counts = moment.counts()
        self._progress.update(self._task, completed=moment.elapsed, counts=counts, refresh=True)

    def end(self) -> None:
        """Leave it as it is."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


@contextmanager
def warnings_on(screen: Screen) -> Iterator[None]:
    """Inside the block, warnings of all libraries are lines on the screen; less is hidden."""
    handler = _ToScreen(screen)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


class _ToScreen(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.WARNING)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.say(f"{record.levelname.lower()}: {self.format(record)}")
