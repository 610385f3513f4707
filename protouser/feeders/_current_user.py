"""Whose code runs: found by the greenlets, since context variables do not reach those of Locust."""

from __future__ import annotations

from locust import User

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
        spawner = getattr(greenlet, "spawning_greenlet", None)
        greenlet = None if spawner is None else spawner()
    return None
