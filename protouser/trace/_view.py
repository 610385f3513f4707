"""Records as a person reads them: one block a call, what was sent above what came."""

from __future__ import annotations

import datetime
from typing import Any

__all__ = ["view"]


def view(record: dict[str, Any]) -> str:
    """The lines of one record."""
    at = datetime.datetime.fromtimestamp(record["at"]).strftime("%H:%M:%S.%f")[:-3]
    took = "" if record["ms"] is None else f", {record['ms']:.3f} ms"
    by = f" ({record['user']})" if record["user"] else ""
    worker = f" on {record['worker']}" if record.get("worker") else ""
    head = f"{at} {record['type']} {record['name']}: {record['outcome']}{took}{by}{worker}"
    lines = [head]
    if record["reason"]:
        lines.append(f"    reason: {record['reason']}")
    if record["series_ms"]:
        series = (f"{name} {spent:.3f} ms" for name, spent in record["series_ms"].items())
        lines.append(f"    series: {', '.join(series)}")
    for side, sign in (("request", ">"), ("response", "<")):
        lines += _lines(sign, record[side], record[f"{side}_length"])
    if record["context"]:
        lines.append(f"    context: {record['context']}")
    return "\n".join(lines)


def _lines(sign: str, text: str | None, length: int | None) -> list[str]:
    if text is None:
        return []
    first, *others = text.splitlines() or [""]
    size = "" if length is None else f"  [{length:,} bytes]"
    return [f"  {sign} {first}{size}", *(f"  {sign} {line}" for line in others)]
