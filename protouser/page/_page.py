"""The page itself: what a reader wants to know first stands first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Any, Final

from protouser.page._charts import charts
from protouser.page._tables import (
    baseline_table,
    calls_table,
    exceptions_table,
    other_tables,
    thresholds_table,
)

__all__ = ["page"]

#: A number that differs from worker to worker; one in a name stays.
_QUANTITY: Final = re.compile(r"\b\d[\d.,]*")


def page(document: dict[str, Any], title: str = "Load test") -> str:
    """A document of results (``docs/results.md``) as a page of HTML that needs nothing else."""
    style = files("protouser.page").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{''.join(_body(document))}</body>\n</html>\n"
    )


def _body(document: dict[str, Any]) -> Iterator[str]:
    run = document["run"]
    yield f"<p>{escape(_summary(run))}</p>\n"
    yield from _verdicts(document)
    if document.get("thresholds"):
        yield "<h2>Thresholds</h2>\n" + thresholds_table(document["thresholds"])
    if document.get("baseline"):
        yield "<h2>Against the baseline</h2>\n" + baseline_table(document["baseline"])
    if document["calls"]:
        yield "<h2>Calls</h2>\n" + calls_table(document["calls"], run["duration"])
    if document.get("exceptions"):
        yield "<h2>Exceptions, raised outside of any call</h2>\n"
        yield exceptions_table(document["exceptions"])
    for heading, group in charts(document):
        drawn = "".join(chart.svg() for chart in group)
        yield f'<h2>{escape(heading)}</h2>\n<div class="charts">\n{drawn}</div>\n'
    for stage in document["stages"]:
        span = f"{stage['begin']:.0f} to {stage['end']:.0f} s"
        yield f"<h2>Stage {escape(stage['name'])}, {span}</h2>\n"
        yield calls_table(stage["calls"], stage["end"] - stage["begin"])
    for heading, table in other_tables(document):
        yield f"<h2>{escape(heading)}</h2>\n{table}"
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    yield f"<p><code>{escape(' '.join(run['command']))}</code><br>{escape(versions)}</p>\n"


def _summary(run: dict[str, Any]) -> str:
    begun = datetime.fromisoformat(run["start"]).strftime("%Y-%m-%d %H:%M:%S")
    users = f"up to {run['users']:,} user" + "s" * (run["users"] != 1)
    workers = f" on {run['workers']:,} workers" if run["workers"] else ""
    return f"{begun} UTC, {run['duration']:,.1f} s, {users}{workers}"


def _verdicts(document: dict[str, Any]) -> Iterator[str]:
    if missing := document["run"]["missing_workers"]:
        yield _banner(f"Incomplete: no final figures from {', '.join(missing)}.")
    verdict = document.get("verdict")
    if not verdict:
        return
    if not verdict["observed"]:
        yield _banner("Limited by the load generator: not known, no second was observed.")
    elif not verdict["causes"]:
        yield _banner("Limited by the load generator: no.", "good")
    for text in _causes(verdict["causes"]):
        yield _banner(f"Limited by the load generator: {text}.")


def _causes(causes: Iterable[dict[str, Any]]) -> Iterator[str]:
    """What happened and what to do; what happened to several workers is said once, of the first."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for cause in causes:
        text = cause["text"].replace(f"({cause['worker']})", "")
        kind = _QUANTITY.sub("", text)
        alike.setdefault((cause["cause"], cause.get("place", ""), kind), []).append(cause)
    for first, *others in alike.values():
        worker = first["worker"]
        of = _several([each["worker"] for each in others if each["worker"] != worker])
        text = first["text"].replace(
            f"({worker})", f"({worker}; likewise {of})" if of else f"({worker})"
        )
        yield f"{text}; {first['remedy']}"


def _several(workers: Sequence[str]) -> str:
    """``worker 2``, or ``workers 2, 3``."""
    names = [name.removeprefix("worker ") for name in dict.fromkeys(workers)]
    return f"worker{'s' * (len(names) > 1)} {', '.join(names)}" if names else ""


def _banner(text: str, kind: str = "bad") -> str:
    return f'<p class="{kind}">{escape(text)}</p>\n'
