"""The results of a test as files: one JSON document, and tables for a spreadsheet."""

from __future__ import annotations

from protouser._results._document import SCHEMA, document
from protouser._results._files import CSV, JSON, ResultFiles, writable, write_file

__all__ = ["CSV", "JSON", "SCHEMA", "ResultFiles", "document", "writable", "write_file"]
