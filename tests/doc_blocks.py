"""The Python blocks of the docs: where they stand, what each needs, and how one is run.

A comment in the line above a block says what it needs, and no reader of the page sees it:

* ``<!-- with: accounts, broker -->``: pytest fixtures, each of which gives a ``Setting``, the names
  that the block takes for granted and what has to be true after it.
* ``<!-- not run: why -->``: no program, but a piece of one.

Without a comment a block runs as it stands; what ``locust`` and ``protouser`` export is there.
User classes that a block defines are put under a small load.
"""

from __future__ import annotations

import locust
from locust.env import Environment

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import protouser
from protouser import attach, now
from protouser.testing import Results, load

__all__ = ["Block", "Setting", "blocks_of", "run"]

ROOT = Path(__file__).parent.parent
AT_MOST = 60.0
FENCE = re.compile(r"(?:^<!-- (with|not run): ([^\n]+) -->\n)?^```python\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """One block: the page, the line of its first line, the fixtures that it needs, its text."""

    page: str
    line: int
    needs: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass
class Setting:
    """What a block takes for granted.

    Attributes:
        names: what it uses and does not import.
        host: where its users find their server, instead of what the block says.
        hosts: the same for single classes, by name.
        attributes: what else of the user classes is only an example, and what it is here.
        task: what users do whose class has no task.
        users: how many of them run, of all classes together.
        rows: what of them must have been called before the load ends, by name.
        seconds: how long at least, unless they stop sooner.
        check: is called with the names after the block and what its users measured.
    """

    names: dict[str, Any] = field(default_factory=dict)
    host: str | None = None
    hosts: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    task: Callable[[Any], object] | None = None
    users: int = 1
    rows: frozenset[str] = frozenset()
    seconds: float = 0.5
    check: Callable[[dict[str, Any], Results | None], None] = lambda names, results: None


def blocks_of(*pages: str) -> list[Block]:
    """The Python blocks of some pages that are to be run."""
    return [block for page in pages for block in _blocks(page)]


def _blocks(page: str) -> Iterator[Block]:
    text = (ROOT / page).read_text()
    for found in FENCE.finditer(text):
        word, argument, code = found.groups()
        line = text.count("\n", 0, found.start(3)) + 1
        needs = tuple(argument.split(", ")) if word == "with" else ()
        if word != "not run":
            yield Block(page, line, needs, code)


def run(block: Block, *settings: Setting) -> None:
    """Execute a block, let its users run, and check what the settings ask for.

    Raises:
        AssertionError: a user class measured nothing, failed, or raised.
    """
    names = _names(block)
    for setting in settings:
        names |= setting.names
    text = "\n" * (block.line - 1) + block.text  # a traceback shows the line of the page
    exec(compile(text, block.page, "exec"), names)
    results = _load(block, names, settings)
    for setting in settings:
        setting.check(names, results)


def _names(block: Block) -> dict[str, Any]:
    given = {name: getattr(protouser, name) for name in protouser.__all__}
    of_locust = {name: each for name, each in vars(locust).items() if not name.startswith("_")}
    return {**of_locust, **given, "__name__": str(block)}


def _all_called(
    users: list[type[locust.User]], wanted: set[str], seconds: float
) -> Callable[[], bool]:
    """Whether the users have run for some seconds, and made the calls that are waited for."""
    environments: list[Environment] = []
    began = now()

    def made(begin: Callable[..., None]) -> Callable[..., None]:
        def __init__(self: locust.User, environment: Environment) -> None:
            environments.append(environment)
            begin(self, environment)

        return __init__

    for user in users:
        user.__init__ = made(user.__init__)  # type: ignore[method-assign]

    def all_called() -> bool:
        if now() - began < seconds or not environments:
            return False
        called = {name for _, name in attach(environments[0]).results().rows()} - {"connect"}
        return bool(called) and called >= wanted

    return all_called


def _load(block: Block, names: dict[str, Any], settings: tuple[Setting, ...]) -> Results | None:
    kinds = [each for each in names.values() if getattr(each, "__module__", "") == str(block)]
    users = [each for each in kinds if isinstance(each, type) and issubclass(each, locust.User)]
    if not users:
        return None
    for setting in settings:
        for user in users:
            user.host = setting.hosts.get(user.__name__, setting.host or user.host)
            for name in setting.attributes.keys() & vars(user).keys():
                setattr(user, name, setting.attributes[name])
            if setting.task is not None and not user.tasks:
                user.tasks = [setting.task]
    count = max([len(users), *(setting.users for setting in settings)])
    seconds = max([0.5, *(setting.seconds for setting in settings)])
    until = _all_called(users, {row for setting in settings for row in setting.rows}, seconds)
    results = load(*users, users=count, seconds=AT_MOST, until=until)
    assert not results.errors, results.errors
    assert results.reports, "the users called nothing"
    failed = [report for report in results.reports if report.exception is not None]
    assert not failed, failed
    return results
