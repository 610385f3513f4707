"""``protouser demo`` as a command: its options, its words, its exit code."""

from __future__ import annotations

from locust import User

import argparse
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import gevent
from gevent.event import Event

from protouser.demo._part import Absent, Found, absence, find_parts, lack
from protouser.demo._progress import screen, warnings_on
from protouser.demo._servers import Servers
from protouser.demo._trial import Trial

__all__ = ["add_arguments", "run"]

_USERS_PER_PART = 10
_NEXT_STEP = """\
Next, a test of your own: start from examples/widget_maker/locustfile.py, and run it with
  locust -f locustfile.py
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``protouser demo``."""
    parser.add_argument(
        "--seconds", type=_seconds, default=20.0, metavar="N", help="how long (default: 20)"
    )
    parser.add_argument(
        "--users",
        type=_users,
        metavar="N",
        help=f"how many, over all protocols; one of each kind at least"
        f" (default: {_USERS_PER_PART} for each protocol)",
    )
    parser.add_argument(
        "--report",
        type=_file,
        default="protouser-demo.html",
        metavar="FILE",
        help="where Locust's HTML report goes (default: protouser-demo.html)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the demonstration; returns the exit code.

    0 when everything went as designed, 1 when it did not, 128 and the signal's number when a
    signal ended it early.
    """
    view = screen()
    found, absent = find_parts()
    programs = {each.name: each.part.server for each in found if each.part.server is not None}
    with warnings_on(view), Ending() as ending, Servers(programs) as servers:
        ready = dict(_ready(found, servers.answers, absent))
        for each in absent:
            view.say(f"without {each.name}: {each.reason}")
        if not ready:
            view.say("protouser demo: there is nothing to show")
            return 1
        trial = _trial(found, ready)
        kinds = sum(len(classes) for classes in ready.values())
        users = max(options.users or _USERS_PER_PART * len(ready), kinds)
        view.say(f"protouser demo: {users} users for {options.seconds:g} s; Ctrl-C ends it early")
        trial.run(users, options.seconds, view, ending.event)
        if servers.ended:
            absent.append(Absent("the servers", "their process ended during the test"))
    problems = [f"{each.name}: {each.reason}" for each in absent if each.broken]
    _tell(f"A real Locust test: {users} users for {trial.seconds:.1f} s on {_listed([*ready])},")
    early = ", and ended early" if ending.code else ""
    _tell(f"against servers that were started for it on this machine{early}.\n")
    as_designed = _show_results(trial, options.report, problems)
    return ending.code or int(not as_designed)


class Ending:
    """Ctrl-C and SIGTERM, inside the block: the first one asks for an end, the next one ends.

    Attributes:
        event: set by the first one.
        code: the exit code for it, else 0.
    """

    def __init__(self) -> None:
        self.event = Event()
        self.code = 0
        self._handlers: dict[int, Any] = {}
        self._watchers: list[Any] = []

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.getsignal(number)
            self._watchers.append(gevent.signal_handler(number, self._end, number))
        return self

    def __exit__(self, *_error: object) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        self._watchers.clear()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _end(self, number: int) -> None:
        self.code = 128 + number
        self.event.set()
        self.__exit__()


def _ready(
    found: Sequence[Found], answers: Mapping[str, Mapping[str, Any]], absent: list[Absent]
) -> Iterator[tuple[str, list[type[User]]]]:
    """The user classes of the parts whose servers listen; the others are added to ``absent``."""
    taken: set[str] = set()
    for each in found:
        classes = _user_classes(each, answers.get(each.name, {"addresses": {}}))
        if isinstance(classes, Absent):
            absent.append(classes)
            continue
        names = {kind.__name__ for kind in classes}
        if names & taken:
            reason = f"another part has {_listed(sorted(names & taken))} too"
            absent.append(Absent(each.name, reason))
        else:
            taken |= names
            yield each.name, classes


def _user_classes(found: Found, answer: Mapping[str, Any]) -> list[type[User]] | Absent:
    if "missing" in answer:
        return lack(found.entry, answer["missing"])
    if "problem" in answer:
        return Absent(found.name, answer["problem"])
    try:
        return list(found.part.users(answer["addresses"]))
    except Exception as error:  # noqa: BLE001  a foreign part may raise anything
        return absence(found.entry, error)


def _trial(found: Sequence[Found], ready: Mapping[str, list[type[User]]]) -> Trial:
    planned = {
        reason: why
        for each in found
        if each.name in ready
        for reason, why in each.part.on_purpose.items()
    }
    return Trial([kind for classes in ready.values() for kind in classes], planned)


def _show_results(trial: Trial, report: Path, problems: Sequence[str]) -> bool:
    """Print the table and what there is to say about it; true if all went as designed."""
    _tell(trial.table())
    saved = f"Locust's HTML report: {report}"
    problems = [*problems, *trial.complaints()]
    try:
        trial.write_report(report)
    except OSError as error:
        saved = f"There is no HTML report: {error}"
        problems.append(f"{report} could not be written")
    for line in trial.explanations():
        _tell(line)
    for problem in problems:
        _tell(f"NOT AS DESIGNED: {problem}")
    _tell(saved)
    _tell(_NEXT_STEP)
    return not problems


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} s is no duration")
    return value


def _users(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least one user is needed")
    return value


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} cannot be written: no such folder, or it is one")
    return path
