"""What a call was asked to send, in two texts: the message itself, and what else was said of it."""

from __future__ import annotations

from typing import Any

from protouser._request import Arguments, Request
from protouser.trace._text import as_text, shown

__all__ = ["asked"]


def asked(request: Any, longest: int) -> tuple[str | None, str | None]:
    """The message as text, and topic, headers, deadline and their like; None for nothing."""
    if isinstance(request, Request):
        said = [(name, value) for name, value in _said(request) if name != "payload"]
        return as_text(request.payload, longest), _listed(said, longest)
    if isinstance(request, Arguments):
        request = (request.args, request.kwargs)
    match request:
        case (tuple() as args, dict() as kwargs):  # of a function that was wrapped by timed
            return _listed([*(("", each) for each in args), *kwargs.items()], longest), None
    return as_text(request, longest), None


def _said(request: Request) -> list[tuple[str, Any]]:
    """The public slots and properties of a request that are not None; those of adapters first."""
    kind = type(request)
    slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
    properties = [name for name, each in vars(kind).items() if isinstance(each, property)]
    names = [name for name in (*slots, *properties) if not name.startswith("_")]
    found = [(name, getattr(request, name, None)) for name in names]
    return [(name, each) for name, each in found if each is not None]


def _listed(pairs: list[tuple[str, Any]], longest: int) -> str | None:
    words = [f"{name}={shown(value)}" if name else shown(value) for name, value in pairs]
    return as_text(", ".join(words), longest) if words else None
