"""The command: examine, print every finding as it comes, and say by the exit code how it is."""

from __future__ import annotations

from locust import User
from locust.util.load_locustfile import load_locustfile

import argparse
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from protouser._errors import ConfigurationError
from protouser._proxy import PROXY
from protouser._refusal import place_of, refusal
from protouser._secrets import masked
from protouser.doctor._blocking import blocking_libraries
from protouser.doctor._classes import Classes
from protouser.doctor._environment import adapters_that_fail, patches, versions
from protouser.doctor._feeders import feeders
from protouser.doctor._finding import FINE, NOTE, PROBLEM, WARNING, Finding
from protouser.doctor._forks import Opened, opened_by_import
from protouser.doctor._hosts import hosts
from protouser.doctor._limits import limits
from protouser.doctor._trial import trial

__all__ = ["add_arguments", "examine", "run"]

_LEVEL_WIDTH: Final = max(map(len, (FINE, NOTE, WARNING, PROBLEM)))
_SUBJECT_WIDTH: Final = 11


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("locustfile", nargs="?", type=Path, help="also examine this file")
    parser.add_argument("-H", "--host", help="as locust's --host")
    parser.add_argument(
        PROXY.flag,
        dest="proxy",
        metavar=PROXY.metavar,
        help="as for locust; its variable and Locust's configuration files hold here too",
    )
    parser.add_argument("-u", "--users", type=int, default=1, help="how many are planned")
    parser.add_argument(
        "--processes", type=int, default=1, help="worker processes that share them on this machine"
    )
    parser.add_argument(
        "--no-connect", action="store_true", help="do not try whether the hosts can be reached"
    )
    parser.add_argument(
        "--try",
        dest="seconds",
        type=float,
        metavar="SECONDS",
        help="run one user of each class for so long, against the real hosts",
    )


def run(options: argparse.Namespace) -> int:
    """Examine and print; the exit code is 1 if a problem was found."""
    found: list[Finding] = []
    for finding in examine(
        options.locustfile,
        host=options.host,
        proxy=options.proxy,
        users=options.users,
        processes=options.processes,
        connect=not options.no_connect,
        seconds=options.seconds,
    ):
        found.append(finding)
        _print(finding)
    problems, warnings = (_count(found, level) for level in (PROBLEM, WARNING))
    sys.stdout.write(f"\n{_number(problems, PROBLEM)}, {_number(warnings, WARNING)}\n")
    return 1 if problems else 0


def examine(
    locustfile: Path | None = None,
    *,
    host: str | None = None,
    proxy: str | None = None,
    users: int = 1,
    processes: int = 1,
    connect: bool = True,
    seconds: float | None = None,
) -> Iterator[Finding]:
    """Look at the machine and, where given, at a locustfile; each finding as it is made.

    Args:
        locustfile: it is imported, as Locust would.
        host: as ``--host``.
        proxy: as ``--protouser-proxy``.
        users: how many are planned.
        processes: how many processes share them.
        connect: try whether hosts can be reached.
        seconds: run one user of each class for so long.
    """
    yield from versions()
    yield from patches()
    yield from adapters_that_fail()
    if locustfile is None:
        return
    before = Opened.now()
    try:
        user_classes, variables = _imported(locustfile)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever the file raises
        yield _refusal(locustfile, error)
        return
    yield from opened_by_import(before, Opened.now(), variables)
    yield from blocking_libraries(locustfile, variables)
    classes = Classes(locustfile, user_classes, host, proxy)
    well = True
    for finding in classes:
        well = well and finding.level != PROBLEM
        yield finding
    yield from feeders()
    yield from limits(user_classes, users, processes, host)
    for finding in hosts(classes.sound, host) if connect else ():
        well = well and finding.level != PROBLEM
        yield replace(finding, remedy="") if seconds and finding.level == NOTE else finding
    if seconds and well:
        yield from trial(user_classes, host, seconds)
    elif seconds:
        yield Finding(NOTE, "tasks", "not tried, since they would fail", "mend what is said above")


def _imported(file: Path) -> tuple[list[type[User]], dict[str, Any]]:
    if file.is_dir():
        raise ConfigurationError("it is a folder; name one of its files")
    if not file.is_file():
        raise ConfigurationError("there is no such file; is the path right?")
    classes, _shapes = load_locustfile(str(file.resolve()))
    return list(classes.values()), vars(sys.modules[file.stem])


def _refusal(file: Path, error: BaseException) -> Finding:
    """What a file that cannot be imported raised, where it did, and what to do about it."""
    mistake = refusal(error)
    if mistake is not None:
        place = (place_of(error) or str(file)).replace(str(file.resolve()), str(file))
        text = f"{place}: {mistake}"
        return Finding(PROBLEM, "locustfile", text, "" if ";" in text else "mend it")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(file.resolve())
    ]
    line = frames[-1].lineno if frames else getattr(error, "lineno", None)
    place = f"{file}:{line}" if line else str(file)
    text = f"{place} cannot be imported: {type(error).__name__}: {error}"
    return Finding(PROBLEM, "locustfile", text, _remedy(error))


def _remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        package = str(error.name).partition(".")[0]
        return f"install what brings {package!r} into {sys.prefix}, or start where its file is"
    if isinstance(error, SyntaxError):
        return "mend the line"
    return "a locustfile is imported before a test: move what can fail into on_start() or prepare()"


def _count(found: list[Finding], level: str) -> int:
    return sum(1 for finding in found if finding.level == level)


def _number(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _print(finding: Finding) -> None:
    level, subject = finding.level.ljust(_LEVEL_WIDTH), finding.subject.ljust(_SUBJECT_WIDTH)
    sys.stdout.write(f"{level}  {subject} {masked(finding.text)}\n")
    if finding.remedy:
        sys.stdout.write(f"{'':{_LEVEL_WIDTH}}  {'':{_SUBJECT_WIDTH}} -> {finding.remedy}\n")
    sys.stdout.flush()
