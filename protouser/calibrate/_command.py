"""``protouser calibrate`` as a command: three short loads for each protocol, and a table."""

from __future__ import annotations

from locust import User, constant

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from protouser._duration import duration
from protouser._errors import ConfigurationError
from protouser._floor import Floor, as_text
from protouser._results import writable, write_file
from protouser._schedule import arrival_rate
from protouser.calibrate._phase import NotCalibrated, load
from protouser.demo._part import Absent, Found, absence, find_parts, lack
from protouser.demo._servers import Servers

__all__ = ["add_arguments", "run"]

_USERS: Final = 10
_HEAD: Final = (
    "",
    "one user:",
    "p50",
    "p99",
    "half rate:",
    "p50",
    "p99",
    "max calls/s",
    "CPU/call",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``protouser calibrate``."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="what to calibrate, such as tcp or grpc (default: all that are installed)",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=3.0,
        metavar="N",
        help="how long each of the three loads takes (default: 3)",
    )
    parser.add_argument(
        "--json",
        type=_file,
        metavar="FILE",
        help="write the figures to FILE, for locust --protouser-floor FILE",
    )


def run(options: argparse.Namespace) -> int:
    """Calibrate; returns 0, 1 if one of what was to be calibrated could not be, or 2."""
    parts, absent = find_parts()
    found = {each.name: each for each in parts if each.part.floor is not None}
    lacking = {each.name: each for each in absent}
    unknown = [name for name in options.names if name not in {*found, *lacking}]
    if unknown:
        known = ", ".join(sorted(found)) or "nothing"
        sys.stderr.write(f"protouser calibrate: no {unknown[0]!r} here; there is {known}\n")
        return 2
    wanted = options.names or [*found, *lacking]
    floors, complaints = _calibrate([found[name] for name in wanted if name in found], options)
    complaints += [f"{name}: {lacking[name].reason}" for name in wanted if name in lacking]
    if floors:
        sys.stdout.write(_table(floors))
        if options.json:
            write_file(options.json, as_text(floors))
    for complaint in complaints:
        sys.stdout.write(f"{complaint}\n")
    broken = any(lacking[name].broken for name in wanted if name in lacking)
    asked = any(name in lacking for name in options.names)
    return int(broken or asked or len(floors) < sum(name in found for name in wanted))


def _calibrate(wanted: list[Found], options: argparse.Namespace) -> tuple[list[Floor], list[str]]:
    programs = {each.name: each.part.server for each in wanted if each.part.server is not None}
    floors: list[Floor] = []
    complaints: list[str] = []
    with _silence(), Servers(programs) as servers:
        for each in wanted:
            answer = servers.answers.get(each.name, {"addresses": {}})
            try:
                floors.append(_floor(each, _user_class(each, answer), options.seconds, complaints))
            except NotCalibrated as error:
                complaints.append(f"{each.name}: not calibrated: {error}")
    return floors, complaints


def _user_class(found: Found, answer: Mapping[str, Any]) -> type[User]:
    try:
        if "addresses" in answer:
            return found.part.users(answer["addresses"])[0]
    except Exception as error:  # noqa: BLE001  a foreign part may raise anything
        raise NotCalibrated(absence(found.entry, error).reason) from None
    missing = answer.get("missing")
    reason: Absent | None = lack(found.entry, missing) if missing else None
    raise NotCalibrated(reason.reason if reason else answer["problem"])


def _floor(found: Found, kind: type[User], seconds: float, complaints: list[str]) -> Floor:
    """One user, then as much as ten can do, then half of that; the last is what a test is like."""
    call = found.part.floor
    assert call is not None
    _say(f"{found.name}: one user, for {seconds:g} s")
    single = load(kind, call, constant(0), 1, seconds)
    _say(f"{found.name}: as fast as {_USERS} users can")
    most = load(kind, call, constant(0), _USERS, seconds)
    rate = max(most.rate / 2, 1.0)
    _say(f"{found.name}: {rate:,.0f} calls/s")
    half = load(kind, call, arrival_rate(f"{rate:.0f}/s"), _USERS, seconds)
    if half.trouble:
        complaints.append(f"{found.name}: the true floor may be lower: {half.trouble}")
    return Floor(
        name=found.name,
        type=single.type,
        p50_ns=single.times.percentile(0.5),
        p99_ns=single.times.percentile(0.99),
        half_rate=round(half.rate, 1),
        half_p50_ns=half.times.percentile(0.5),
        half_p99_ns=half.times.percentile(0.99),
        most=round(most.rate, 1),
        cpu_ns=round(most.cpu * 1e9 / most.times.count),
    )


def _table(floors: list[Floor]) -> str:
    rows = [_HEAD, *(_cells(floor) for floor in floors)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip() + "\n")
    return "".join(lines)


def _cells(floor: Floor) -> tuple[str, ...]:
    one = [duration(each) for each in (floor.p50_ns, floor.p99_ns)]
    half = [duration(each) for each in (floor.half_p50_ns, floor.half_p99_ns)]
    rate = f"{floor.half_rate:,.0f}/s"
    return (floor.name, "", *one, rate, *half, f"{floor.most:,.0f}", duration(floor.cpu_ns))


@contextmanager
def _silence() -> Iterator[None]:
    """No word about a busy processor: keeping it busy is the purpose."""
    loggers = [logging.getLogger(name) for name in ("locust", "protouser.verdict")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _say(text: str) -> None:
    sys.stderr.write(f"calibrating {text}\n")
    sys.stderr.flush()


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} s is no duration")
    return value


def _file(text: str) -> str:
    try:
        return writable(text)
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
