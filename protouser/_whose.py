"""Whose a module is: a tester's, or that of protouser, of an adapter, or of another library."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["is_testers"]

_OURS: Final = "protouser"
_HOSTS: Final = ("locust", "gevent", "importlib")
_LIBRARIES: Final = tuple(
    f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "purelib", "platlib")
)


def is_testers(variables: Mapping[str, Any]) -> bool:
    """Whether the module that has these global variables is a tester's own.

    A file that Locust loads is in no package, so it may be called ``protouser_something`` as well.
    """
    package = str(variables.get("__package__") or "").partition(".")[0]
    if package in (_OURS, *_HOSTS) or package.startswith(f"{_OURS}_"):
        return False
    return not str(variables.get("__file__") or "").startswith(_LIBRARIES)
