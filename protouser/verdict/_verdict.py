"""What is said in the end: whether the generator was the bottleneck, why, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["BLOCKED", "CPU", "DATA", "STARVED", "THREADS", "USERS", "Cause", "Verdict"]

BLOCKED: Final = "blocked event loop"
CPU: Final = "cpu"
STARVED: Final = "starved of cpu"
USERS: Final = "too few users"
DATA: Final = "waiting for data"
THREADS: Final = "waiting for threads"

_MOST_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that limited the load or spoiled its figures.

    Attributes:
        cause: what kind of thing; one of the constants beside this class.
        worker: which one; empty where there is only one process.
        since: the second of the test in which it began.
        seconds: for how long it was so, all in all.
        weight: how much it spoiled: a share of the time, of the iterations, or of the waiting.
        text: what happened.
        remedy: what to do about it.
        place: the line of code that did it; empty where it is none.
    """

    cause: str
    worker: str
    since: float
    seconds: float
    weight: float
    text: str
    remedy: str
    place: str = ""

    def sentence(self) -> str:
        """What happened and what to do."""
        return f"{self.text}; {self.remedy}"

    def short(self) -> str:
        """What it is, of which worker, at which line."""
        of = f" ({self.worker})" if self.worker else ""
        return self.cause + of + (f" at {self.place}" if self.place else "")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every cause, the heaviest first; ``seconds`` is how long the generator was observed."""

    seconds: float
    causes: tuple[Cause, ...] = ()

    @property
    def limited(self) -> bool:
        """Whether the generator was the bottleneck at any time."""
        return bool(self.causes)

    def line(self) -> str:
        """The verdict in one line."""
        if not self.seconds:
            return "client-limited: not known - no second of this run was observed"
        if not self.causes:
            return "client-limited: no"
        first, *others = self.causes
        also = list(dict.fromkeys(each.short() for each in others))
        more = len(also) - _MOST_SHOWN
        shown = ", ".join(also[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
        text = f"client-limited: yes - {first.sentence()}" + (f"; also: {shown}" if also else "")
        return " ".join(text.split())  # names may hold anything

    def as_json(self) -> dict[str, Any]:
        """The member of the JSON document."""
        causes = [
            {key: round(value, 4) if isinstance(value, float) else value for key, value in each}
            for each in (asdict(cause).items() for cause in self.causes)
        ]
        return {"limited": self.limited, "observed": round(self.seconds, 3), "causes": causes}
