"""One time limit over the steps of connecting, and the marks of its phases."""

from __future__ import annotations

from collections.abc import Callable

from protouser._call import now

__all__ = ["Deadline", "Mark", "ignore"]

Mark = Callable[[str], object]


def ignore(phase: str) -> None:
    """A ``mark`` for those who do not time the phases."""


class Deadline:
    """One time limit over several steps; ``seconds=None`` never ends."""

    __slots__ = ("_at", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._at = None if seconds is None else now() + seconds

    def left(self) -> float | None:
        """Seconds until the end, not below 0; None when there is no end."""
        return None if self._at is None else max(0.0, self._at - now())

    def share(self, parts: int) -> Deadline:
        """A deadline over an equal share of what is left."""
        left = self.left()
        return Deadline(None if left is None else left / parts)

    def __str__(self) -> str:
        return f"{self.seconds:g} s"
