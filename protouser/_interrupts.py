"""Ctrl-C goes to the main greenlet, where Locust waits for it.

Python raises KeyboardInterrupt in whatever greenlet runs just then: in a user's call, or in the
greenlet that ends the test, which then ends itself in the middle of that.
"""

from __future__ import annotations

import signal
from typing import Final

import gevent

__all__ = ["DEFAULT", "send_to_main"]


def _interrupt_main(*_signal: object) -> None:
    hub = gevent.get_hub()
    main = hub.parent
    if main is None or gevent.getcurrent() is main:
        raise KeyboardInterrupt
    hub.loop.run_callback_threadsafe(main.throw, KeyboardInterrupt)


#: What handles an interrupt where nothing is to be made of it.
DEFAULT: Final = _interrupt_main


def send_to_main() -> None:
    """Have interrupts raised in the main greenlet, unless somebody handles them already."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, DEFAULT)
