"""Whose a module is: a tester's, or that of protouser, of an adapter, or of another library."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["is_ours", "is_testers"]

_OURS: Final = "protouser"
_HOSTS: Final = ("locust", "gevent", "importlib")
_LIBRARIES: Final = tuple(
    f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "purelib", "platlib")
)


def is_ours(variables: Mapping[str, Any]) -> bool:
    """Whether the module that has these global variables is protouser's, or an adapter's.

    A file that Locust loads is in no package, so it may be called ``protouser_something`` as well.
    """
    package = _package(variables)
    return package == _OURS or package.startswith(f"{_OURS}_")


def is_testers(variables: Mapping[str, Any]) -> bool:
    """Whether the module that has these global variables is a tester's own."""
    if is_ours(variables) or _package(variables) in _HOSTS:
        return False
    return not str(variables.get("__file__") or "").startswith(_LIBRARIES)


def _package(variables: Mapping[str, Any]) -> str:
    return str(variables.get("__package__") or "").partition(".")[0]
