"""What became of the rows, as a table at the end of the run."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping
from typing import Final

from protouser.feeders._tally import Tally

__all__ = ["table", "warn_of_waiting"]

logger = logging.getLogger(__name__)

_COLUMNS: Final = ("handed out", "given back", "lost", "duplicates", "wraps", "waited")
_FEW: Final = 100
_MANY_WAITED: Final = 0.01


def warn_of_waiting(tallies: Mapping[str, Tally], sticky: Container[str] = ()) -> None:
    """Warn of users that waited for data.

    Of ``sticky`` feeders each user takes one row, when it starts: waiting for that is no load less.
    """
    for name, tally in sorted(tallies.items()):
        few = tally.handed_out < _FEW or name in sticky
        if not few and tally.waited > _MANY_WAITED * tally.handed_out:
            logger.warning(
                "feeder %r: %.1f %% of its rows had to be waited for, so the load was lower than"
                " it was meant to be; the summary of all calls has the times",
                name,
                100 * tally.waited / tally.handed_out,
            )


def table(tallies: Mapping[str, Tally]) -> list[str]:
    """One line for each feeder, below a head."""
    width = max(len("Feeder"), *(len(name) for name in tallies))
    head = "  ".join([f"{'Feeder':<{width}}", *_COLUMNS])
    lines = [head, "-" * len(head)]
    for name, tally in sorted(tallies.items()):
        counts = tally.to_wire().values()
        cells = [f"{n:>{len(title)},}" for title, n in zip(_COLUMNS, counts, strict=True)]
        lines.append("  ".join([f"{name:<{width}}", *cells]))
    return [*lines, ""]
