"""Whether the load generator itself was the bottleneck, since when, why, and what to do.

A process that runs users is observed once a second (``_observer``); a second is an
``Observation``. The master adds them up, a ``Ledger`` for each worker, and ``judge`` makes a
``Verdict`` of these.
"""

from protouser.verdict._judge import judge
from protouser.verdict._ledger import Ledger
from protouser.verdict._observation import Blocked, Busy, Observation, Waited
from protouser.verdict._verdict import (
    BLOCKED,
    CPU,
    DATA,
    STARVED,
    THREADS,
    USERS,
    Cause,
    Verdict,
)
from protouser.verdict._watch import GeneratorWatch

__all__ = [
    "BLOCKED",
    "CPU",
    "DATA",
    "STARVED",
    "THREADS",
    "USERS",
    "Blocked",
    "Busy",
    "Cause",
    "GeneratorWatch",
    "Ledger",
    "Observation",
    "Verdict",
    "Waited",
    "judge",
]
