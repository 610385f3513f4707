"""Figures of the servers under test, on the time line of the test: exporters, and an agent."""

from protouser.monitor._agent import add_arguments, run
from protouser.monitor._monitoring import MONITOR, Monitoring
from protouser.monitor._samples import Reader, Sample, samples_of
from protouser.monitor._selector import Selector
from protouser.monitor._target import Target

__all__ = [
    "MONITOR",
    "Monitoring",
    "Reader",
    "Sample",
    "Selector",
    "Target",
    "add_arguments",
    "run",
    "samples_of",
]
