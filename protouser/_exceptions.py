"""What tasks and other code of users raised outside of any call, over all workers.

Such an exception is in no row: without these lines a run can end with exit code 1 below a table in
which nothing failed. Locust counts them too, but neither their types nor their users, and as many
texts as there are.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import WorkerRunner

import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from protouser._excerpt import text_of
from protouser._names import as_name
from protouser._reasons import Reasons
from protouser._secrets import masked
from protouser._sections import Section
from protouser._whose import is_testers

if TYPE_CHECKING:
    from protouser._session import Session

__all__ = ["Exceptions", "Raised", "add_exceptions"]

_FIELD: Final = "protouser-exceptions"
_LONGEST: Final = 300
_MOST: Final = 5
_WIDTH: Final = 160


class Raised(NamedTuple):
    """One kind of exception: its type and words, whose user raised it, and at which line."""

    type: str
    message: str
    user: str
    place: str

    def sentence(self) -> str:
        """What and where, on a line."""
        said = f"{self.type}: {self.message}" if self.message else self.type
        return said[:_WIDTH] + (f"  [{self.place}]" if self.place else "")


class Exceptions:
    """How often each kind was raised; its texts are bounded as the reasons of failures are."""

    def __init__(self) -> None:
        self._counts: Counter[Raised] = Counter()
        self._unsent: Counter[Raised] = Counter()
        self._texts = Reasons("exceptions")

    def note(self, user: object, error: BaseException, trace: TracebackType | None) -> None:
        """Count what a user, or one of its TaskSets, has raised; None where nobody is known."""
        owner = getattr(user, "user", user)
        name = "" if owner is None else as_name(type(owner).__name__)
        kind, place = as_name(type(error).__name__), as_name(_place(trace))
        text = text_of(error)
        text = "" if text == kind else " ".join(as_name(masked(text)).split())[:_LONGEST]
        self._add(Raised(kind, self._texts.shown(name, place, text), name, place), 1)

    def take_new(self) -> list[list[Any]]:
        """What a master is to be told since the last time, as any codec carries it."""
        new, self._unsent = self._unsent, Counter()
        return [[*raised, count] for raised, count in new.items()]

    def take(self, told: Iterable[list[Any]]) -> None:
        """Count what a worker has told."""
        for *raised, count in told:
            self._add(Raised(*raised), count)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each kind, the most frequent first."""
        return [
            {
                "type": raised.type,
                "message": raised.message,
                "class": raised.user,
                "place": raised.place,
                "count": count,
            }
            for raised, count in self._counts.most_common()
        ]

    def lines(self) -> Iterator[str]:
        """How often something was raised, and where; nothing for none."""
        if not self._counts:
            return
        total, kinds = self._counts.total(), self._counts.most_common()
        yield f"Exceptions: {total:,}, raised outside of any call and in no row above"
        for raised, count in kinds[:_MOST]:
            yield f"  {count:,} x {raised.sentence()}"
        if rest := kinds[_MOST:]:
            yield f"  {sum(count for _, count in rest):,} more, of {len(rest)} other kinds"
        yield ""

    def _add(self, raised: Raised, count: int) -> None:
        self._counts[raised] += count
        self._unsent[raised] += count


def add_exceptions(session: Session, environment: Environment) -> None:
    """Count what users raise, and have it in the results, or sent to who writes them."""
    events = environment.events
    events.user_error.add_listener(
        lambda user_instance, exception, tb, **_: session.exceptions.note(
            user_instance, exception, tb
        )
    )
    if isinstance(environment.runner, WorkerRunner):

        def report(data: dict[str, Any], **_event: Any) -> None:
            data[_FIELD] = session.exceptions.take_new()

        events.report_to_master.add_listener(report)
        return
    events.worker_report.add_listener(
        lambda data, **_: session.exceptions.take(data.get(_FIELD, ()))
    )
    session.sections.add(Section("exceptions", "", lambda: session.exceptions.rows()))
    session.sections.add_lines(lambda: session.exceptions.lines())


def _place(trace: TracebackType | None) -> str:
    """The outermost line that is a tester's: what Locust and protouser called."""
    for frame, line in traceback.walk_tb(trace):
        if is_testers(frame.f_globals):
            return f"{Path(frame.f_code.co_filename).name}:{line} in {frame.f_code.co_name}"
    return ""
