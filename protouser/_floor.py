"""The noise floor of this generator, as ``protouser calibrate`` wrote it, beside the results."""

from __future__ import annotations

from locust.env import Environment

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from protouser._errors import ConfigurationError
from protouser._options import Option, option
from protouser._sections import Section

if TYPE_CHECKING:
    from protouser._session import Session

__all__ = ["FLOOR", "Floor", "add_floors", "as_text", "floors_in"]

_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Floor:
    """What a call of one protocol takes against a local echo; nothing can be measured below it.

    Attributes:
        name: what was calibrated; a part of the demonstration.
        type: the type of its calls, as in results.
        p50_ns: of the calls of one user, one after another,
        p99_ns: and their 99th percentile.
        half_rate: half of ``most``, in calls a second,
        half_p50_ns: and what calls take at this rate, of ten users,
        half_p99_ns: and their 99th percentile.
        most: how many calls a second ten users make in one process.
        cpu_ns: processor time of this process for one call, then.
    """

    name: str
    type: str
    p50_ns: int
    p99_ns: int
    half_rate: float
    half_p50_ns: int
    half_p99_ns: int
    most: float
    cpu_ns: int


def as_text(floors: list[Floor]) -> str:
    """The content of a file that ``floors_in`` reads."""
    document = {"schema": _SCHEMA, "floors": [asdict(floor) for floor in floors]}
    return json.dumps(document, indent=1) + "\n"


def floors_in(file: str) -> list[Floor]:
    """What a file says.

    Raises:
        ConfigurationError: it cannot be read, or ``protouser calibrate`` did not write it.
    """
    try:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
        schema, rows = document["schema"], document["floors"]
        floors = [Floor(**row) for row in rows] if schema == _SCHEMA else []
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError):
        text = f"{file} is no calibration: write one with protouser calibrate --json {file}"
        raise ConfigurationError(text) from None
    if schema != _SCHEMA:
        text = f"{file} was written by another version: run protouser calibrate again"
        raise ConfigurationError(text)
    return floors


def _checked(file: str) -> str:
    floors_in(file)
    return file


FLOOR: Final = Option(
    "floor",
    "Show what protouser calibrate --json FILE found on this machine beside the results.",
    "FILE",
    _checked,
)


def add_floors(session: Session, environment: Environment) -> None:
    """Add a section with the floors of what was called, if a file of them was given."""
    file = option(environment, FLOOR)
    if file is None:
        return
    floors = floors_in(file)

    def called() -> list[dict[str, Any]]:
        types = {type_ for type_, _ in session.results().rows()}
        return [asdict(floor) for floor in floors if floor.type in types]

    def lines() -> Iterator[str]:
        rows = called()
        for row in rows:
            p50, p99 = row["half_p50_ns"] / 1e6, row["half_p99_ns"] / 1e6
            yield (
                f"calibrated floor of {row['name']}: p50 {p50:.3g} ms, p99 {p99:.3g} ms"
                f" at {row['half_rate']:,.0f} calls/s of one process"
            )
        if rows:
            yield ""

    session.sections.add(Section("floors", "Floors", called, lines))
