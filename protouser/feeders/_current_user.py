"""Whose code runs: found by the greenlets, since context variables do not reach those of Locust."""

from __future__ import annotations

from locust import User

import sys
from types import FrameType
from typing import Any

from gevent import getcurrent

__all__ = ["current_user"]


def current_user() -> User | None:
    """The Locust user in whose greenlet this runs, or in one that was spawned from there."""
    greenlet: Any = getcurrent()
    while greenlet is not None:
        arguments = getattr(greenlet, "args", None)
        if arguments and isinstance(arguments[0], User):
            return arguments[0]
        # ProtocolUser.spawn passes a bound method of the user as what the greenlet runs
        owner = getattr(getattr(greenlet, "_run", None), "__self__", None)
        if isinstance(owner, User):
            return owner
        found = _in_frames(sys._getframe() if greenlet is getcurrent() else greenlet.gr_frame)
        if found is not None:
            return found
        spawner = getattr(greenlet, "spawning_greenlet", None)
        greenlet = None if spawner is None else spawner()
    return None


def _in_frames(frame: FrameType | None) -> User | None:
    """The user whose greenlet these frames are: the first argument of the outermost that has one.

    gevent forgets the arguments of a greenlet as soon as its end is scheduled, and the greenlet may
    run on until then; what it asked for would be nobody's, and be read from the beginning.
    """
    found = None
    while frame is not None:
        code = frame.f_code
        first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        found = first if isinstance(first, User) else found
        frame = frame.f_back
    return found
