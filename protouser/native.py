"""Native threads beside gevent, for adapters whose library needs one: a loop, and the way back."""

from protouser._executors import Bridge, NativeLoop, forget_in_child, start_thread
from protouser._executors._bridge import Handover, leave_thread
from protouser._executors._native import get_ident, native_sleep
from protouser._outcome import STOPPED

__all__ = [
    "STOPPED",
    "Bridge",
    "Handover",
    "NativeLoop",
    "forget_in_child",
    "get_ident",
    "leave_thread",
    "native_sleep",
    "start_thread",
]
