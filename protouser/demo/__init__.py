"""``protouser demo``: a real load test against servers that it starts itself.

A protocol joins with a ``Part``, named by an entry point of the group ``protouser.demo``.
"""

from protouser.demo._part import Part
from protouser.demo._run import add_arguments, run

__all__ = ["Part", "add_arguments", "run"]
