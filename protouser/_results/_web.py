"""The results in Locust's web UI: a tab for the calls, one for every section, and JSON.

Locust keeps what is put into its template arguments, and hands ``extended_stats`` of its own
statistics to the tables of extra tabs; so both are added to where they are asked for.
"""

from __future__ import annotations

from locust.env import Environment

import json
from typing import Any, Final

from flask import Response, request

from protouser._duration import duration
from protouser._figures import FAILURE, SERVICE, SUCCESS
from protouser._headings import MAXIMUM, PERCENTILES
from protouser._results._document import document
from protouser._session import Session

__all__ = ["add_tabs"]

_CALLS: Final = "protouser-calls"
_TIMES: Final = {
    **{heading: PERCENTILES[heading] for heading in ("p50", "p95", "p99", "p99.9")},
    MAXIMUM: 1.0,
}


def add_tabs(session: Session, environment: Environment) -> None:
    """Add tabs, and ``/protouser/results`` with the document that a file would have."""
    web_ui = environment.web_ui
    if web_ui is None or web_ui.app is None:
        return

    def offer_tabs() -> None:
        if request.path == "/":
            web_ui.template_args.update(_offered(_tables(session)))

    def fill_tabs(response: Response) -> Response:
        if request.path == "/stats/requests" and response.is_json:
            tables = [{"key": key, "data": rows} for key, _, rows in _tables(session)]
            response.set_data(json.dumps({**(response.json or {}), "extended_stats": tables}))
        return response

    def results() -> dict[str, Any]:
        return document(session)

    web_ui.app.before_request(offer_tabs)
    web_ui.app.after_request(fill_tabs)
    guarded = web_ui.auth_required_if_enabled(results)
    web_ui.app.add_url_rule("/protouser/results", "protouser_results", guarded)


def _tables(session: Session) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """(key, title, rows) of every tab; a section without rows has none yet."""
    tables = [(_CALLS, "Latency", _calls(session))]
    for section in session.sections:
        rows = section.rows()
        if section.title and rows:
            shown = [
                {key: _shown(key, row[key]) for key in row if key not in section.hidden}
                for row in rows
            ]
            tables.append((f"protouser-{section.key}", section.title, shown))
    return tables


def _offered(tables: list[tuple[str, str, list[dict[str, Any]]]]) -> dict[str, Any]:
    return {
        "extended_tabs": [{"title": title, "key": key} for key, title, _ in tables],
        "extended_tables": [
            {"key": key, "structure": [_column(name) for name in (rows or [_EMPTY])[0]]}
            for key, _, rows in tables
        ],
    }


def _shown(key: str, value: Any) -> Any:
    """What the page's tables can show: text and numbers."""
    if key.endswith("_ns") and value is not None:
        return duration(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return "" if value is None else value


_EMPTY: Final = dict.fromkeys(("type", "name", "series", "ok", "failed", "calls/s", *_TIMES), "")


def _column(name: str) -> dict[str, str]:
    title = name.removesuffix("_ns").replace("_", " ")
    return {"key": name, "title": title if title in _TIMES else title[:1].upper() + title[1:]}


def _calls(session: Session) -> list[dict[str, Any]]:
    figures, rows = session.results(), []
    called = set(figures.rows())
    for (type_, name, series, outcome), times in sorted(figures.timed.items(), key=str):
        if (type_, name) in called and outcome == SUCCESS and times.count:
            failed = figures.outcome(type_, name, FAILURE) if series == SERVICE else ""
            row: dict[str, Any] = {"type": str(type_), "name": str(name), "series": str(series)}
            row |= {"ok": times.count, "failed": failed}
            row["calls/s"] = round(times.count / max(session.seconds, 1e-9), 1)
            row |= {word: duration(times.percentile(share)) for word, share in _TIMES.items()}
            rows.append(row)
    return rows
