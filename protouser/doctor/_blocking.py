"""Libraries that wait without gevent's knowledge, so that one call stops every user."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from protouser.doctor._finding import FINE, WARNING, Finding

__all__ = ["blocking_libraries"]

#: Their I/O is in C, where gevent cannot take its place.
_KNOWN: Final = {
    "MySQLdb",
    "confluent_kafka",
    "couchbase",
    "cx_Oracle",
    "ibm_db",
    "ldap",
    "oracledb",
    "psycopg2",
    "pylibmc",
    "pymssql",
    "pyodbc",
    "pysnmp",
    "sqlite3",
    "teradatasql",
}
_IN_THREADS: Final = re.compile(r"""run\s*=\s*["'](thread|pinned|asyncio)["']|\.in_thread\(""")


def blocking_libraries(file: Path, variables: Mapping[str, Any]) -> Iterator[Finding]:
    """Those that the file uses, unless it says somewhere that calls run in threads."""
    used = sorted(_KNOWN & {_package(value) for value in variables.values()})
    if used and not _IN_THREADS.search(file.read_text(encoding="utf-8", errors="replace")):
        yield Finding(
            WARNING,
            "blocking",
            f"{', '.join(used)} waits in C, where gevent cannot help: one call stops every user",
            'wrap it as self.timed(..., run="thread"), or run="pinned" for one thread per object',
        )
    else:
        yield Finding(FINE, "blocking", "no library that is known to block the event loop")


def _package(value: Any) -> str:
    name = getattr(value, "__module__", None) or getattr(value, "__name__", "")
    return str(name).partition(".")[0].removeprefix("_")
