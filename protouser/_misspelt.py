"""Attributes of a user class that are nearly an option: they have no effect, and nobody says so.

A class may have attributes of the tester's own. What some file of his reads is one, whatever it is
called; what is nearly an option and read by nobody is a slip.
"""

from __future__ import annotations

from locust import User

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from protouser._near import nearest
from protouser._whose import is_testers

if TYPE_CHECKING:
    from protouser._client import ProtocolClient

__all__ = ["misspelt"]

#: How alike a name must be: "proxi" and "time_out" are options misspelt, "hostname" is none.
_CUTOFF: Final = 0.8
#: What Locust's classes and ours have that nobody sets to a value.
_NO_OPTIONS: Final = frozenset(
    {"abstract", "client", "max_wait", "min_wait", "pool_manager", "tasks", "wait_function"}
)


def misspelt(user_class: type[User], client_class: type[ProtocolClient] | None) -> Iterator[str]:
    """A sentence for each attribute of the class, or a base, that is nearly an option."""
    options = () if client_class is None else (*client_class.option_names, "timeout")
    bases = user_class.__mro__
    names = {name for base in bases if not _is_testers(base) for name in _plain(base)}
    known = ({*options, "wait_time"} | names) - _NO_OPTIONS
    for base in filter(_is_testers, bases):
        for name in sorted({*_plain(base)} - known):
            near = nearest(name, sorted(known), _CUTOFF)
            if near is not None and name not in _names_read():
                text = f"{base.__name__}.{name} is no option, and nothing reads it"
                yield f"{text}; did you mean {near!r}?"


def _is_testers(base: type) -> bool:
    module = sys.modules.get(base.__module__)
    return base is not object and (module is None or is_testers(vars(module)))


def _plain(base: type) -> Iterator[str]:
    """The public attributes of a class that are values: no methods, no properties, no classes."""
    for name, value in vars(base).items():
        if not (name.startswith("_") or callable(value) or hasattr(value, "__get__")):
            yield name


def _names_read() -> set[str]:
    """Every name that a file of the tester's reads, be it as text, as ``getattr`` does."""
    modules = [each for each in list(sys.modules.values()) if isinstance(each, ModuleType)]
    files = [each for each in modules if vars(each).get("__file__") and is_testers(vars(each))]
    return {name for each in files for name in _read_in(each)}


def _read_in(module: ModuleType) -> Iterator[str]:
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):  # it is compiled, or gone
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(getattr(node, "ctx", None), ast.Load):
            yield from _name_of(node)


def _name_of(node: Any) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
