"""Several pytest processes that do one run together, each file in one of them.

``run.py test`` starts them, and names a folder in ``FOLDER``. Whoever comes to a file first puts
its name there and runs it. A file is not torn apart, since its tests share servers. pytest-xdist
does not serve here: its workers wait natively for their orders, in a process that gevent has
patched.

Tests marked ``measures`` are left out by all of them: a process with ``ALONE`` set runs those, and
nothing else, when the others have ended.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

__all__ = ["ALONE", "FOLDER", "run_shared", "split"]

ALONE = "PROTOUSER_TESTS_ALONE"
FOLDER = "PROTOUSER_TESTS_SHARED_IN"


def split(items: list[pytest.Item], alone: bool) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Those of the tests that this process runs, and the others."""
    parts: tuple[list[pytest.Item], list[pytest.Item]] = ([], [])
    for item in items:
        parts[(item.get_closest_marker("measures") is not None) != alone].append(item)
    return parts


def run_shared(session: pytest.Session, folder: Path) -> None:
    """What pytest does with its tests, for those of the files that nobody else has taken."""
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        raise session.Interrupted(f"{session.testsfailed} errors during collection")
    if session.config.option.collectonly:
        return
    items = _mine(session.items, folder)
    item = next(items, None)
    while item is not None:
        following = next(items, None)  # what both need is kept between them
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following


def _mine(items: list[pytest.Item], folder: Path) -> Iterator[pytest.Item]:
    for path, group in groupby(items, key=lambda item: item.path):
        if _claimed(folder / hashlib.sha1(bytes(path)).hexdigest()):
            yield from group


def _claimed(mark: Path) -> bool:
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
