"""The results of a test as files: one JSON document, and tables for a spreadsheet."""

from __future__ import annotations

from protouser._results._baseline import BASELINE, Baseline
from protouser._results._comparison import compare, comparison_table, load_results, only_in_one
from protouser._results._document import SCHEMA, document
from protouser._results._exporter import EXPORTER, exposition, serve_figures
from protouser._results._files import CSV, HTML, JSON, ResultFiles, writable, write_file
from protouser._results._hdr import HDR, hdr_log, write_hdr
from protouser._results._web import add_tabs

__all__ = [
    "BASELINE",
    "CSV",
    "EXPORTER",
    "HDR",
    "HTML",
    "JSON",
    "SCHEMA",
    "Baseline",
    "ResultFiles",
    "add_tabs",
    "compare",
    "comparison_table",
    "document",
    "exposition",
    "hdr_log",
    "load_results",
    "only_in_one",
    "serve_figures",
    "writable",
    "write_file",
    "write_hdr",
]
