"""Native threads beside gevent, for adapters whose library needs one: a loop, and the way back."""

from protouser._call import STOPPED
from protouser._executors import Bridge, NativeLoop, forget_in_child, start_thread

__all__ = ["STOPPED", "Bridge", "NativeLoop", "forget_in_child", "start_thread"]
