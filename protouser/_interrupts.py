"""Ctrl-C goes to the main greenlet, where Locust waits for it.

Python raises KeyboardInterrupt in whatever greenlet runs just then: in a user's call, or in the
greenlet that ends the test, which then ends itself in the middle of that. Who blocks the loop keeps
the main greenlet from hearing of it; a second interrupt ends that one.
"""

from __future__ import annotations

import signal
from typing import Final

import gevent
from greenlet import greenlet

__all__ = ["DEFAULT", "send_to_main"]


class _Interrupts:
    """Handles interrupts, and knows whether one is still on its way."""

    def __init__(self) -> None:
        self._on_its_way = False

    def __call__(self, *_signal: object) -> None:
        hub = gevent.get_hub()
        main = hub.parent
        if main is None or gevent.getcurrent() is main or self._on_its_way:
            self._on_its_way = False
            raise KeyboardInterrupt
        self._on_its_way = True
        hub.loop.run_callback_threadsafe(self._arrive, main)

    def _arrive(self, main: greenlet) -> None:
        if self._on_its_way:
            self._on_its_way = False
            main.throw(KeyboardInterrupt)


#: What handles an interrupt where nothing is to be made of it.
DEFAULT: Final = _Interrupts()


def send_to_main() -> None:
    """Have interrupts raised in the main greenlet, unless somebody handles them already."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, DEFAULT)
