"""Records as a person reads them: one block a call, what was sent above what came."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterator
from typing import Any, Final, TextIO

__all__ = ["in_colours", "moment", "view"]

_COLOURS: Final = {"success": 32, "failure": 31, "cancelled": 33, "skipped": 33}
_OUTCOME_WIDTH: Final = len("cancelled")
_TIME_WIDTH: Final = len("1234.567 ms")
#: The host and the beginning of 32 digits tell workers apart.
_WORKER: Final = re.compile(r"(_[0-9a-f]{4})[0-9a-f]{28}$")
#: Bytes, cut or not.
_HEX: Final = re.compile(r"hex ((?:[0-9a-f]{2} ?)+)[0-9a-f]?(\.\.\..*)?")
_HEX_COLUMNS: Final = 16


def view(record: dict[str, Any], colours: bool = False) -> str:
    """The lines of one record; with the colours of a terminal where it is one."""
    lines = [_head(record, colours)]
    for label, text in (
        ("reason", record["reason"]),
        ("to", record["to"]),
        ("series", _series(record["series_ms"])),
        ("with", record["options"]),
        ("context", record["context"]),
    ):
        if text:
            lines.append(f"    {label + ':':8} {text}")
    for side, sign in (("request", ">"), ("response", "<")):
        lines += _side(sign, record[side], record[f"{side}_length"])
    return "\n".join(lines)


def in_colours(output: TextIO) -> bool:
    """Whether to use colours there: on a terminal, unless NO_COLOR is set."""
    return output.isatty() and not os.environ.get("NO_COLOR")


def moment(at: float) -> datetime.datetime:
    """A time of a record, as a clock on this machine's wall showed it."""
    return datetime.datetime.fromtimestamp(at)


def _head(record: dict[str, Any], colours: bool) -> str:
    at = moment(record["at"]).strftime("%H:%M:%S.%f")[:-3]
    outcome = record["outcome"].ljust(_OUTCOME_WIDTH)
    if colours and record["outcome"] in _COLOURS:
        outcome = f"\x1b[{_COLOURS[record['outcome']]}m{outcome}\x1b[0m"
    took = "" if record["ms"] is None else f"{record['ms']:.3f} ms"
    inside = f"in {record['transaction']}" if record["transaction"] else ""
    worker = _WORKER.sub(r"\1", f"on {record['worker']}") if record.get("worker") else ""
    who = ", ".join(filter(None, (record["user"], inside, worker)))
    name = f"{record['type']} {record['name']}"
    return f"{at}  {outcome} {took:>{_TIME_WIDTH}}  {name}{who and f'  ({who})'}"


def _series(series: dict[str, float]) -> str:
    return ", ".join(f"{name} {spent:.3f} ms" for name, spent in series.items())


def _side(sign: str, text: str | None, length: int | None) -> Iterator[str]:
    if text is None:
        return
    size = "" if length is None else f"  [{length:,} bytes]"
    found = _HEX.fullmatch(text)
    lines = text.splitlines() if found is None else list(_hex_lines(found[1], found[2]))
    for number, line in enumerate(lines or [""]):
        yield f"  {sign} {line}{'' if number else size}"


def _hex_lines(words: str, cut: str | None) -> Iterator[str]:
    """Sixteen bytes a line with what is ASCII of them beside it, and how it was cut."""
    data = bytes.fromhex(words)
    for first in range(0, len(data), _HEX_COLUMNS):
        row = data[first : first + _HEX_COLUMNS]
        letters = "".join(map(_letter, row))
        yield f"{first:04x}  {row.hex(' '):{3 * _HEX_COLUMNS - 1}}  {letters}"
    if cut:
        yield cut


def _letter(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else "."
