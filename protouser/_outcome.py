"""The outcome table: what raised, what was said, what is reported.

It lives here and nowhere else. What matters most in it: ``GreenletExit`` is how Locust ends a user
in the middle of a call, so it is *cancelled* and never a success; ``StopUser`` and its kin steer
Locust and are no results; a ``gevent.Timeout`` and an asyncio cancellation that no end of a user
caused are deadlines, and so failures. Some test libraries fail by what is no ``Exception``, as
``pytest.fail`` does: a failure too.
"""

from __future__ import annotations

from locust.exception import CatchResponseError

import asyncio
from typing import Any, Final

import gevent

from protouser._checks import Check, raises, run_check
from protouser._errors import CallTimeout
from protouser._figures import CANCELLED, FAILURE, SUCCESS
from protouser._steering import ENDINGS, STEERING

__all__ = ["STOPPED", "Verdict", "expects", "is_result", "outcome_of", "outcome_of_error"]

#: What a native task is cancelled with when its user is stopped; any other cancellation is a
#: deadline of the user's own.
STOPPED: Final = "the user was stopped"

#: An outcome and, of a failure, its reason. An empty outcome is for what is not reported at all.
Verdict = tuple[str, BaseException | None]


def outcome_of(check: Check | None, response: Any) -> Verdict:
    """What a call is that returned ``response``.

    Raises whatever steers Locust, and what is no ``Exception``, out of the check.
    """
    if check is not None:
        reason = run_check(check, response)
        if reason is not None:
            return FAILURE, CatchResponseError(reason)
    return SUCCESS, None


def outcome_of_error(check: Check | None, error: BaseException) -> Verdict:
    """What a call is that met ``error``."""
    if isinstance(error, STEERING):
        return "", None
    if expects(check, error):
        return SUCCESS, None
    if isinstance(error, gevent.Timeout):
        return FAILURE, _as_timeout(error)
    if isinstance(error, asyncio.CancelledError) and error.args != (STOPPED,):
        return FAILURE, CallTimeout("cancelled before it finished, as a deadline does")
    if isinstance(error, (*ENDINGS, asyncio.CancelledError)):
        return CANCELLED, None
    return FAILURE, error


def expects(check: Check | None, error: BaseException) -> bool:
    """True when a ``raises`` check makes this exception what was wanted."""
    return isinstance(check, raises) and is_result(error) and check.expects(error)


def is_result(error: BaseException) -> bool:
    """True for an exception that is the backend's or the tester's, and no control flow."""
    return isinstance(error, Exception) and not isinstance(error, STEERING)


def _as_timeout(error: gevent.Timeout) -> CallTimeout:
    # gevent's own repr holds an address, which would make every timeout a row of its own
    if error.seconds is None:
        return CallTimeout("timed out")
    return CallTimeout(f"timed out after {error.seconds:g} s")
