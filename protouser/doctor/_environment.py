"""The machine and what is installed: versions, patches, adapters."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from gevent import monkey

from protouser._registry import adapters
from protouser.doctor._finding import FINE, PROBLEM, WARNING, Finding

__all__ = ["adapters_that_fail", "patches", "versions"]

_NEWEST_TRIED: Final = (3, 13)
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)")
_PATCHED: Final = ("socket", "ssl", "threading", "time", "select", "subprocess", "queue")


def versions() -> Iterator[Finding]:
    """Python and the libraries beneath, against what this version of protouser asks for."""
    old = [
        f"{name} {found} (needs {least})"
        for name, least in _least_versions()
        if (found := _installed(name)) and _numbers(found) < _numbers(least)
    ]
    names = ", ".join(f"{name} {_installed(name)}" for name in ("locust", "gevent"))
    python = platform.python_version()
    if old:
        yield Finding(PROBLEM, "versions", f"too old: {', '.join(old)}", _upgrade(old))
    if sys.version_info[:2] > _NEWEST_TRIED:
        newest = ".".join(map(str, _NEWEST_TRIED))
        text = f"Python {python} is newer than {newest}, the newest that protouser is tested with"
        yield Finding(WARNING, "versions", text, f"use Python {newest} where something is odd")
    elif not old:
        yield Finding(FINE, "versions", f"Python {python}, {names}")


def patches() -> Iterator[Finding]:
    """Whether gevent has taken the place of everything in the standard library that blocks."""
    missing = [name for name in _PATCHED if not monkey.is_module_patched(name)]
    if missing:
        yield Finding(
            PROBLEM,
            "patches",
            f"gevent has not patched {', '.join(missing)}: every user waits for every other's I/O",
            "unset LOCUST_SKIP_MONKEY_PATCH",
        )
    else:
        yield Finding(FINE, "patches", "the standard library waits through gevent")


def adapters_that_fail() -> Iterator[Finding]:
    """Adapters that are installed and cannot be used; what their extra would bring is no fault."""
    found = adapters()
    usable = [each.scheme for each in found if not each.problem]
    for each in found:
        if each.problem:
            remedy = f"uninstall {each.distribution}, or repair it"
            if "pip install" in each.problem:
                remedy = "install it if you need this protocol"
            level = WARNING if "pip install" in each.problem else PROBLEM
            yield Finding(level, "adapters", each.problem, remedy)
    if usable:
        yield Finding(FINE, "adapters", f"these load: {', '.join(usable)}")


def _least_versions() -> Iterator[tuple[str, str]]:
    for requirement in requires("protouser") or ():
        found = _REQUIREMENT.match(requirement)
        if found:
            yield found[1], found[2]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:4])


def _upgrade(old: list[str]) -> str:
    return f"pip install --upgrade {' '.join(text.split()[0] for text in old)}"
