"""Whose code runs: found by the greenlets, since context variables do not reach those of Locust."""

from __future__ import annotations

from locust import User

import sys
from types import FrameType
from typing import Any

from gevent import Greenlet, getcurrent

__all__ = ["current_user", "runs_now"]


def current_user() -> User | None:
    """The Locust user in whose greenlet this runs, or in one that was spawned from there."""
    greenlet: Any = getcurrent()
    frame: FrameType | None = sys._getframe()
    while isinstance(greenlet, Greenlet):
        arguments = greenlet.args
        if arguments and isinstance(arguments[0], User):
            return arguments[0]
        # ProtocolUser.spawn passes a bound method of the user as what the greenlet runs
        owner = getattr(getattr(greenlet, "_run", None), "__self__", None)
        if isinstance(owner, User):
            return owner
        found = _in_frames(frame, everywhere=True)
        if found is not None:
            return found
        spawner = getattr(greenlet, "spawning_greenlet", None)
        greenlet = None if spawner is None else spawner()
        frame = None if greenlet is None else greenlet.gr_frame
    return _in_frames(frame, everywhere=False)


def runs_now(user: User) -> bool:
    """True in the user's own greenlet, which is never another user's."""
    return getcurrent() is user.greenlet


def _in_frames(frame: FrameType | None, everywhere: bool) -> User | None:
    """The user whose greenlet these frames are: the first argument of the outermost that has one.

    gevent forgets the arguments of a greenlet as soon as its end is scheduled, and the greenlet may
    run on until then; what it asked for would be nobody's, and be read from the beginning. In the
    main greenlet, where there is one user at most and often none, only Locust's own frame counts:
    to look into each takes microseconds.
    """
    found, run = None, User.run.__code__
    while frame is not None:
        code = frame.f_code
        if code is run or (everywhere and code.co_argcount):
            first = frame.f_locals.get(code.co_varnames[0])
            found = first if isinstance(first, User) else found
        frame = frame.f_back
    return found
