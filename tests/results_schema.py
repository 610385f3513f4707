"""Result documents against docs/results.schema.json, which must name every member there is."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FILE = Path(__file__).parents[1] / "docs" / "results.schema.json"


def check_results(document: Any, strict: bool = True) -> None:
    """Fail with every place in which a document is not as documented.

    ``strict`` refuses what is not named; a reader has to bear that, but we have to document it.
    """
    errors = _validator(strict).iter_errors(document)
    found = [f"{error.json_path}: {error.message}" for error in errors]
    assert not found, "\n".join(found[:10])


def check_folder(folder: Path) -> int:
    """Check the result files that a run has left in a folder, and say how many there are."""
    found = 0
    for path in folder.glob("*.json"):
        document = json.loads(path.read_text())
        if isinstance(document, dict) and "timeline" in document:
            found += 1
            check_results(document, strict=False)
    return found


@cache
def _validator(strict: bool) -> Draft202012Validator:
    schema = json.loads(FILE.read_text())
    Draft202012Validator.check_schema(schema)
    schema = _closed(schema) if strict else schema
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _closed(schema: Any) -> Any:
    """The same, refusing what is not named."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "properties" in schema and "type" in schema else {}
    return {**closed, **{key: _closed(value) for key, value in schema.items()}}
