"""The parts of the demonstration: one for each protocol, found through entry points.

The group is ``protouser.demo``, an entry point's value a ``Part`` and its name what the part is
called. The servers of a part are not in its module: importing that imports Locust, which patches
the standard library for gevent, and a server that shares its process with the load cannot be
believed. They are a program of their own beside it.
"""

from __future__ import annotations

from locust import User

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

__all__ = ["GROUP", "Absent", "Found", "Part", "absence", "find_parts", "lack"]

GROUP = "protouser.demo"


@dataclass(frozen=True, slots=True)
class Part:
    """One protocol's share in the demonstration. Importing it starts nothing.

    Attributes:
        users: makes the user classes, given where the servers listen. Their names must not be
            those of another part.
        server: a Python file with a generator function ``serve``, plain or ``async``, that starts
            servers on free ports, yields their addresses once, as a dict of strings by names of
            its own, and closes them when it goes on. It runs in a process without gevent and
            imports neither protouser nor Locust.
        on_purpose: failures that belong to the show: the reason as it is reported, and why.
        floor: a task of the first user class that makes one call, by which ``protouser calibrate``
            finds out what a call takes at least.
    """

    users: Callable[[Mapping[str, str]], Sequence[type[User]]]
    server: Path | None = None
    on_purpose: Mapping[str, str] = field(default_factory=dict)
    floor: Callable[[Any], object] | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """A part that does not run, and why; ``broken`` unless it merely lacks a library."""

    name: str
    reason: str
    broken: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """A part that loaded, and the entry point that named it."""

    entry: EntryPoint
    part: Part

    @property
    def name(self) -> str:
        """What the part is called."""
        return self.entry.name


def find_parts() -> tuple[list[Found], list[Absent]]:
    """The parts that load, and those that do not."""
    found: dict[str, Found] = {}
    absent: list[Absent] = []
    # several folders on the path may show one entry point more than once
    for entry in sorted({(e.name, e.value): e for e in entry_points(group=GROUP)}.values()):
        try:
            part = entry.load()
        except Exception as error:  # noqa: BLE001  a foreign module may raise anything on import
            absent.append(absence(entry, error))
            continue
        if not isinstance(part, Part):
            absent.append(Absent(entry.name, f"{entry.value} is no Part"))
        elif entry.name in found:
            absent.append(Absent(entry.name, f"{entry.value} has the name of another part"))
        else:
            found[entry.name] = Found(entry, part)
    return list(found.values()), absent


def absence(entry: EntryPoint, error: Exception) -> Absent:
    """The absence of a part that raised ``error`` when it was loaded."""
    library = error.name if isinstance(error, ModuleNotFoundError) else None
    if library and library.partition(".")[0] != _package(entry):
        return lack(entry, library)
    return Absent(entry.name, f"{entry.module}: {type(error).__name__}: {error}")


def lack(entry: EntryPoint, library: str) -> Absent:
    """The absence of a part that needs a library, with the command that installs it."""
    reason = f"needs {library!r}, which is not installed; try: pip install {_requirement(entry)}"
    return Absent(entry.name, reason, broken=False)


def _package(entry: EntryPoint) -> str:
    return entry.module.partition(".")[0]


def _requirement(entry: EntryPoint) -> str:
    if entry.dist is None:
        return "it"
    offered = entry.dist.metadata.get_all("Provides-Extra") or []
    own = _package(entry).partition("_")[2] or entry.name
    extras = ",".join(extra for extra in (own, "demo") if extra in offered)
    return f"'{entry.dist.name}[{extras}]'" if extras else entry.dist.name
