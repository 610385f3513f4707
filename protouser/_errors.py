"""What can go wrong, as the caller sees it.

    ProtouserError
    |-- ConfigurationError    a mistake that no run can heal: bad URL, bad option, missing library
    |-- ConnectFailed         a connection could not be made (also an OSError)
    |-- ConnectionLost        a connection ended while something waited on it (also an OSError)
    |-- CallTimeout           no answer in time (also a TimeoutError)
    |-- MalformedMessage      the peer sent what its protocol does not allow (also a ValueError)
    |-- NotFound              a response lacks what was to be extracted (also a LookupError)
    |-- CallSkipped           a hook vetoed the call
    `-- FeederExhausted       a feeder with at_end="raise" has no more rows

Every message names the thing, the reason and, where there is one, the remedy. None carries a
password: hosts are written through ``Url``, which hides them.
"""

from __future__ import annotations

__all__ = [
    "CallSkipped",
    "CallTimeout",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "FeederExhausted",
    "MalformedMessage",
    "NotFound",
    "ProtouserError",
    "UnexpectedMessage",
]


class ProtouserError(Exception):
    """Base of every error that protouser itself raises."""


class ConfigurationError(ProtouserError, ValueError):
    """Something is asked for that no run can do; raised before the load starts where it can be."""


class ConnectFailed(ProtouserError, OSError):
    """A connection could not be made."""


class ConnectionLost(ProtouserError, OSError):
    """A connection ended while something still waited on it, or was used after it ended."""


class CallTimeout(ProtouserError, TimeoutError):
    """No answer came in time."""


class MalformedMessage(ProtouserError, ValueError):
    """The peer sent what its protocol does not allow; the connection is of no use any more."""


class NotFound(ProtouserError, LookupError):
    """A response does not hold what was to be extracted from it."""


class CallSkipped(ProtouserError):
    """A hook vetoed the call; raised on entry of a ``measure`` block, it ends the task quietly."""


class UnexpectedMessage(ProtouserError):
    """A message came that no call was waiting for, where that was declared a failure."""


class FeederExhausted(ProtouserError):
    """A feeder that is to say so has no more rows."""
