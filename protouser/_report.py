"""What a worker tells its master every three seconds: the slices since then, and what was noted.

A worker counts its seconds from its own beginning, by its own clock, which is nobody else's. The
report says what that clock shows when it leaves, so the master can tell what the seconds are called
by its own; it decides so once, with the first report of a test, and not again, lest a slice that
travelled longer falls into its neighbour.
"""

from __future__ import annotations

from typing import Any, Final, Self

from protouser._call import now
from protouser._figures import Figures
from protouser._timeline import Note, Timeline

__all__ = ["Clocks", "Report"]

_SILENT: Final = 10


class Report:
    """New slices by the worker's seconds, and notes.

    Attributes:
        began: when the worker's test began, by the worker's clock.
        sent: when the report was sent, by the same clock.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self.sent = began
        self.slices: list[tuple[int, Figures]] = []
        self.notes: list[Note] = []

    def to_wire(self) -> dict[str, Any]:
        """What any codec carries."""
        return {
            "began": self.began,
            "sent": now(),
            "slices": [[second, figures.to_wire()] for second, figures in self.slices],
            "notes": [[note.at, note.kind, note.text] for note in self.notes],
        }

    @classmethod
    def from_wire(cls, data: dict[str, Any]) -> Self:
        """The report that ``to_wire`` wrote."""
        report = cls(data["began"])
        report.sent = data["sent"]
        report.slices = [(second, Figures.from_wire(wire)) for second, wire in data["slices"]]
        report.notes = [Note(*note) for note in data["notes"]]
        return report


class Clocks:
    """What the seconds of every worker are called by the master's clock."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, float, float], float] = {}
        self._latest: dict[str, int] = {}

    def place(self, client_id: str, report: Report, began: float, timeline: Timeline) -> None:
        """Put a report on the time line of a test that began at a moment of the master's clock."""
        key = (client_id, report.began, began)
        if key not in self._offsets:
            self._offsets[key] = (now() - began) - (report.sent - report.began)
        offset = self._offsets[key]
        for second, figures in report.slices:
            timeline.add(int(second + offset + 0.5), figures)
        for note in report.notes:
            timeline.note(Note(max(note.at + offset, 0.0), note.kind, note.text))
        self._latest[client_id] = int(report.sent - report.began + offset)

    def complete_until(self) -> int:
        """The second before which every worker that still reports has said all."""
        newest = max(self._latest.values(), default=0)
        return min((at for at in self._latest.values() if at > newest - _SILENT), default=0)

    def forget(self, client_id: str) -> None:
        """A worker reports no more."""
        self._latest.pop(client_id, None)
