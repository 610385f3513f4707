"""Closing: everything is tried, nothing is waited for beyond a limit, nobody is kept from ending.

What is to be closed may hang, and whoever closes may be killed meanwhile. So a greenlet of its own
closes one thing after the other; what hangs when the time is over gets a ``GreenletExit``, and the
greenlet goes on with the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import gevent

__all__ = ["close_in_time"]

logger = logging.getLogger(__name__)

_MOST_HANGING = 50
_PATIENCE_WITH_EACH = 0.05


def close_in_time(closers: Sequence[Callable[[], object]], seconds: float, owner: str) -> None:
    """Call every closer; what still hangs after ``seconds`` is left behind, and that is said once.

    A caller that is killed meanwhile ends at once, and closing goes on without it.
    """
    if not closers:
        return
    closing = gevent.spawn(_close_all, closers, owner)
    closing.join(seconds)
    if closing.ready():
        return
    logger.warning("%s: closing took longer than %g s; what hangs was left behind", owner, seconds)
    for _ in range(_MOST_HANGING):
        closing.kill(block=False)
        closing.join(_PATIENCE_WITH_EACH)
        if closing.ready():
            return


def _close_all(closers: Sequence[Callable[[], object]], owner: str) -> None:
    for close in closers:
        try:
            close()
        except gevent.GreenletExit:
            continue
        except BaseException as error:  # noqa: BLE001  closing goes on with the next
            logger.warning("%s: closing failed: %r", owner, error)
