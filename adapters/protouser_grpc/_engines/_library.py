"""The parts of grpcio that come without types."""

from __future__ import annotations

import importlib
from typing import Any, Final

import grpc

__all__ = ["aio", "sync"]

#: ``grpc`` itself, for its functions without annotations.
sync: Final[Any] = grpc

#: ``grpc.aio``; neither grpcio nor types-grpcio lets a type checker find it.
aio: Final[Any] = importlib.import_module("grpc.aio")
