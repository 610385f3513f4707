"""Values out of a response, for the calls that follow; JMeter's extractors.

Each takes the response, or a message with a ``payload``, and says clearly what was not found, or
returns ``default`` instead.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from protouser._errors import ConfigurationError, NotFound
from protouser._excerpt import excerpt
from protouser._matchers import (
    MISSING,
    Matcher,
    as_text,
    descend,
    payload_of,
    steps_of,
    structure_of,
)

__all__ = ["extract_field", "extract_json", "extract_regex", "json_path"]


def extract_regex(pattern: str, response: Any, group: int | str = 1, default: Any = MISSING) -> Any:
    """The text of a group (0: all of it) where ``pattern`` first matches the response's text.

    Raises:
        NotFound: it matches nowhere, and there is no ``default``.
        ConfigurationError: it has no such group.
    """
    text = as_text(payload_of(response))
    compiled = re.compile(pattern)
    if (isinstance(group, str) and group not in compiled.groupindex) or (
        isinstance(group, int) and group > compiled.groups
    ):
        raise ConfigurationError(f"the pattern {pattern!r} has no group {group!r}; write (...)")
    found = None if text is None else compiled.search(text)
    value = MISSING if found is None else found[group]
    return _found(value, f"nothing matches {pattern!r}", response, default)


def extract_field(path: str, response: Any, default: Any = MISSING) -> Any:
    """The field at ``path`` of a JSON text, a mapping, an object or a protobuf message.

    A path is names with dots and indices in brackets: ``order.items[0].price``.

    Raises:
        NotFound: there is none, and no ``default``.
    """
    value = descend(structure_of(payload_of(response)), steps_of(path))
    return _found(value, f"there is no field {path!r}", response, default)


def extract_json(path: str, response: Any, default: Any = MISSING) -> Any:
    """The first value that a JSON path (RFC 9535) selects, as ``$.items[?@.price < 10].name``.

    Raises:
        NotFound: it selects nothing, and there is no ``default``.
        ConfigurationError: it is no JSON path, or its library is missing.
    """
    found = _selected(path, response)
    return _found(found[0] if found else MISSING, f"{path!r} selects nothing", response, default)


def json_path(path: str, wanted: Any = MISSING) -> Matcher:
    """A JSON path selects ``wanted``, something for which that is true, or anything at all.

    Raises:
        ConfigurationError: it is no JSON path, or its library is missing.
    """
    _compiled(path)

    def test(message: Any) -> bool:
        found = _selected(path, message)
        if wanted is MISSING:
            return bool(found)
        return any(wanted(one) if callable(wanted) else one == wanted for one in found)

    words = f"json_path({path!r})" if wanted is MISSING else f"json_path({path!r}, {wanted!r})"
    return Matcher(test, words)


def _selected(path: str, response: Any) -> list[Any]:
    structure = structure_of(payload_of(response))
    return list(_compiled(path).findall(structure)) if isinstance(structure, dict | list) else []


@lru_cache(maxsize=256)
def _compiled(path: str) -> Any:
    try:
        import jsonpath
    except ModuleNotFoundError:
        raise ConfigurationError(
            'JSON paths need a library; try: pip install "protouser[jsonpath]"'
        ) from None
    try:
        return jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        raise ConfigurationError(f"{path!r} is no JSON path: {error}") from None


def _found(value: Any, problem: str, response: Any, default: Any) -> Any:
    if value is not MISSING:
        return value
    if default is not MISSING:
        return default
    raise NotFound(f"{problem} in {excerpt(payload_of(response))}")
