"""Named parts of a test, and moments in it that explain what the figures show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from protouser._errors import ConfigurationError
from protouser._session import Session
from protouser._timeline import Note

__all__ = ["Stage", "annotate", "stage", "stages_of"]

_NOTE: Final = "note"
_STAGE: Final = "stage"


class Stage(NamedTuple):
    """A named part of a test, in seconds since its beginning."""

    name: str
    begin: float
    end: float


def annotate(text: str) -> None:
    """Mark this moment on the time line of the results, such as ``annotate("broker restart")``.

    From anywhere in a locustfile, on the master or a worker.

    Raises:
        ConfigurationError: no test was ever prepared in this process.
    """
    session = _session()
    session.in_hub(session.note, _NOTE, text)


def stage(name: str) -> None:
    """Begin a named part of the test; it lasts until the next one begins, or the test ends.

    The results have the figures of every stage, to the second. The stage that runs already is not
    begun again, so every user may call this.

    Raises:
        ConfigurationError: no test was ever prepared in this process.
    """
    session = _session()
    session.in_hub(session.note, _STAGE, name)


def stages_of(notes: Iterable[Note], end: float) -> list[Stage]:
    """The stages that were noted, in order; several of one name in a row are one."""
    begun: list[tuple[float, str]] = []
    for note in sorted(notes):
        if note.kind == _STAGE and (not begun or begun[-1][1] != note.text):
            begun.append((note.at, note.text))
    ends = [at for at, _ in begun[1:]] + [end]
    return [Stage(name, at, until) for (at, name), until in zip(begun, ends, strict=False)]


def _session() -> Session:
    session = Session.latest()
    if session is None:
        raise ConfigurationError("there is no Locust environment yet whose test this belongs to")
    return session
