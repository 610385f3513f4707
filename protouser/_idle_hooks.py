"""Hooks that selected no call in a whole test, as one whose name is misspelt does; said at its end.

Each process that runs users knows which of its hooks selected a call. Workers tell their master
inside Locust's own reports, the last one too, and there a hook is idle that none of them has used.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import WorkerRunner

import logging
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from types import CodeType
from typing import Any, Final, NamedTuple

from protouser._chosen_hooks import Chosen
from protouser._hooks import BEFORE, CONNECT, Use
from protouser._near import nearest
from protouser._session import Session

__all__ = ["IdleHooks"]

logger = logging.getLogger(__name__)

_FIELD: Final = "protouser-hooks"


class _Known(NamedTuple):
    """A hook as every process names it: when it runs, and where it is written."""

    use: Use
    place: str

    @classmethod
    def of(cls, chosen: Chosen) -> _Known:
        function: Any = chosen.function
        code: CodeType = function.__code__
        place = f"{function.__qualname__} ({Path(code.co_filename).name}:{code.co_firstlineno})"
        return cls(chosen.use, place)


class IdleHooks:
    """Looks for them, in the tests of one environment."""

    def __init__(self, session: Session, environment: Environment) -> None:
        self._session = session
        self._environment = environment
        self._of_workers: dict[_Known, bool] = {}

    def listen(self) -> None:
        """Listen for tests and reports; behind what waits for the last reports of workers."""
        events = self._environment.events
        events.test_start.add_listener(self._forget)
        events.report_to_master.add_listener(self._send)
        events.worker_report.add_listener(self._receive)
        events.test_stop.add_listener(self._tell)

    def _forget(self, **_event: Any) -> None:
        self._of_workers.clear()
        for hooks in self._session.chosen_hooks:
            hooks.forget()

    def _send(self, data: dict[str, Any], **_event: Any) -> None:
        known = self._known_here()
        if known:
            data[_FIELD] = [[*hook.use, hook.place, used] for hook, used in known.items()]

    def _receive(self, data: dict[str, Any], **_event: Any) -> None:
        for *use, place, used in data.get(_FIELD, ()):
            hook = _Known(Use(*use), place)
            self._of_workers[hook] = self._of_workers.get(hook, False) or used

    def _tell(self, **_event: Any) -> None:
        if isinstance(self._environment.runner, WorkerRunner):
            self._forget()  # what it reports from now on is of no test
            return
        rows = self._session.results().rows()
        for hook in [] if self._session.missing else self._idle():
            logger.warning(
                "the hook %s, %s, has selected no call of this test%s",
                hook.place,
                _as_written(hook.use),
                _hint(hook.use, rows),
            )

    def _idle(self) -> list[_Known]:
        known = self._known_here()
        for hook, used in self._of_workers.items():
            known[hook] = known.get(hook, False) or used
        return sorted(hook for hook, used in known.items() if not used)

    def _known_here(self) -> dict[_Known, bool]:
        known: dict[_Known, bool] = {}
        for hooks in self._session.chosen_hooks:
            for chosen, used in hooks.used():
                hook = _Known.of(chosen)
                known[hook] = known.get(hook, False) or used
        return known


def _as_written(use: Use) -> str:
    moment = "before" if use.moment == BEFORE else "after"
    is_connect = use.pattern == CONNECT
    words = [] if is_connect or use.pattern == "*" else [f'"{use.pattern}"']
    words += [f'protocol="{use.protocol}"'] if use.protocol else []
    return f"@{moment}_{'connect' if is_connect else 'call'}({', '.join(words)})".replace("()", "")


def _hint(use: Use, rows: list[tuple[str, str]]) -> str:
    """The row, and the protocol, that may be meant."""
    name = _meant(use.pattern, [name for _, name in rows])
    protocol = _meant(use.protocol or "*", [type_ for type_, _ in rows])
    found = " of ".join(repr(each) for each in (name, protocol) if each)
    return f"; did you mean {found}?" if found else ""


def _meant(glob: str, there: Iterable[str]) -> str | None:
    names = sorted(set(there))
    return None if any(fnmatchcase(each, glob) for each in names) else nearest(glob, names)
