"""Conditions on the results, which decide the exit code and may end a test early."""

from __future__ import annotations

from protouser.thresholds._grammar import parse
from protouser.thresholds._judge import Judge
from protouser.thresholds._junit import JUNIT
from protouser.thresholds._sources import FILE, THRESHOLD, check_thresholds
from protouser.thresholds._threshold import Threshold

__all__ = ["FILE", "JUNIT", "THRESHOLD", "Judge", "Threshold", "check_thresholds", "parse"]
