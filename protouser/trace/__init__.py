"""Traces: what single calls sent and received, for those who look for the reason of a failure."""

from protouser.trace._command import add_arguments, run
from protouser.trace._output import TRACE, TRACE_FILE, TRACE_LIMIT, Tracing
from protouser.trace._selection import Selection
from protouser.trace._text import as_text
from protouser.trace._trace import Trace
from protouser.trace._view import view

__all__ = [
    "TRACE",
    "TRACE_FILE",
    "TRACE_LIMIT",
    "Selection",
    "Trace",
    "Tracing",
    "add_arguments",
    "as_text",
    "run",
    "view",
]
