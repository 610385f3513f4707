"""Rows of text as the lines of a table."""

from __future__ import annotations

from collections.abc import Container, Sequence

__all__ = ["columns"]


def columns(rows: Sequence[Sequence[str]], left: Container[int] = (0,)) -> list[str]:
    """The rows with their cells below one another; those of the columns ``left`` begin alike.

    All other columns end alike, as numbers do. Every row has the same number of cells.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
