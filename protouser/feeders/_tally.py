"""What became of the rows, counted for the table at the end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

__all__ = ["Tally"]


@dataclass
class Tally:
    """Counts of one feeder; they add up over workers.

    Attributes:
        handed_out: rows that a user got.
        given_back: rows that came back, because their user or their worker stopped.
        lost: rows that went to a worker of which was heard no more.
        duplicates: rows that had been handed out when they were handed out again.
        wraps: how often the data began anew.
        waited: rows that had to be waited for.
    """

    handed_out: int = 0
    given_back: int = 0
    lost: int = 0
    duplicates: int = 0
    wraps: int = 0
    waited: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of another worker."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def to_wire(self) -> dict[str, int]:
        """Plain numbers by name."""
        return asdict(self)
