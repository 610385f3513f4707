"""A test that still runs when Locust quits is stopped first, and waited for.

After Ctrl-C or a signal Locust asks for the exit code, and only then stops the users; whatever
judges a run would not have been asked. So the stop comes before: it is the same as at the end of
``--run-time``, and a stop that is under way already, such as one from the web UI, is waited for.

Who presses Ctrl-C again does not want to wait. Then users are killed, in what they do, workers get
a moment for their last report, and the results are written all the same.

With a load shape and no web UI the main greenlet waits for the shape alone. An interrupt has it
quit the runner, whatever stops the test by then, and the next one ends the process. So the signal
is handled here for as long as such a test stops.

A user that tells the runner to quit, out of its task, hands that over to a greenlet that lives on.

Ctrl-C in a terminal reaches a worker twice, as a signal and as its master's word to stop. Locust's
second stop finds the users on their way out already, takes them for gone, and says that the test is
over while they still end. So the second one waits here for what the first one waits for.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import STATE_CLEANUP, MasterRunner, Runner, WorkerRunner

import logging
import signal
import sys
from types import FrameType
from typing import Any, Final

import gevent
from gevent.event import Event
from greenlet import greenlet

from protouser import _interrupts as interrupts
from protouser._call import now
from protouser._final import FinalFigures

__all__ = ["Ending"]

logger = logging.getLogger(__name__)

#: Seconds that a stop may take beyond the stop timeout: what Locust's master gives its workers, and
#: what their last reports may take.
_LONGER_THAN_STOPPING: Final = 70.0
_IN_A_HURRY: Final = 10.0
_LOOK_AGAIN: Final = 0.5
_POLL: Final = 0.02


class Ending:
    """Knows whether a test runs in this process, and ends it."""

    def __init__(self, environment: Environment, final: FinalFigures) -> None:
        self._environment = environment
        self._final = final
        self._stops: greenlet | None = None
        self._was_interrupted = False
        self._ended = Event()
        self._ended.set()

    def listen_first(self) -> None:
        """Listen for a test that stops, before anybody of us does something about it."""
        self._environment.events.test_stopping.add_listener(self._stopping)

    def listen(self) -> None:
        """Listen for tests, behind everything that happens when one stops."""
        events = self._environment.events
        events.test_start.add_listener(self._started)
        events.test_stop.add_listener(self._stopped)
        events.quitting.add_listener(self._before_quitting)

    def _started(self, **_event: Any) -> None:
        self._stops = None
        self._ended.clear()

    def _stopping(self, **_event: Any) -> None:
        runner, current = self._environment.runner, gevent.getcurrent()
        if runner is not None and _is_of_a_user(runner, current):
            # It would kill itself while it waits for the others, and nobody would end the test.
            gevent.spawn(runner.quit if _quits(runner) else self._stop)
            raise gevent.GreenletExit
        self._mind_interrupts(again=current.parent is None)
        first = self._stops
        if runner is None or first is None or first is current:
            self._stops = current
            return
        until = now() + self._longest()
        while not first.dead and not self._is_over(runner) and now() < until:
            gevent.sleep(_POLL)

    def _is_over(self, runner: Runner) -> bool:
        """Whether nobody is left whom a second stop would take for gone."""
        return self._ended.is_set() or (runner.state == STATE_CLEANUP and not runner.user_greenlets)

    def _longest(self) -> float:
        return self._environment.stop_timeout + _LONGER_THAN_STOPPING

    def _stopped(self, **_event: Any) -> None:
        self._ended.set()
        if signal.getsignal(signal.SIGINT) == self._interrupted:
            signal.signal(signal.SIGINT, interrupts.DEFAULT)

    def _mind_interrupts(self, again: bool) -> None:
        """Handle interrupts of a stop; with ``again`` it was one that has begun it."""
        environment = self._environment
        has_shape = environment.shape_class is not None and environment.web_ui is None
        is_ours = self._final.session.whole_process and not isinstance(
            environment.runner, WorkerRunner
        )
        if has_shape and is_ours and signal.getsignal(signal.SIGINT) is interrupts.DEFAULT:
            self._was_interrupted = again
            signal.signal(signal.SIGINT, self._interrupted)

    def _interrupted(self, *_signal: Any) -> None:
        if self._was_interrupted:
            signal.signal(signal.SIGINT, interrupts.DEFAULT)  # a further one is meant
            gevent.spawn(self._hurry)
        else:
            self._was_interrupted = True
            gevent.spawn(logger.warning, "the test stops already; Ctrl-C again waits for nobody")

    def _hurry(self) -> None:
        logger.warning("interrupted again: nobody is waited for any longer")
        self._final.hurry()

    def _before_quitting(self, **_event: Any) -> None:
        if self._ended.is_set() or self._environment.runner is None:
            return
        if self._stops is gevent.getcurrent():
            self._stops = None  # it was torn out of the stop, and goes on here
        ending = gevent.spawn(self._end)
        try:
            ending.join()
        except KeyboardInterrupt:
            self._hurry()
            ending.join(_IN_A_HURRY)

    def _end(self) -> None:
        until = now() + self._longest()
        while self._stops is not None and not self._stops.dead and now() < until:
            if self._ended.wait(_LOOK_AGAIN):
                return
        self._stop()
        if not self._ended.is_set():  # Locust takes it for stopping, but who did it was killed
            self._environment.events.test_stop.fire(environment=self._environment)

    def _stop(self) -> None:
        runner = self._environment.runner
        if isinstance(runner, MasterRunner):
            runner.stop(send_stop_to_client=False)  # the final figures tell them, and wait
        elif runner is not None:
            runner.stop()


def _is_of_a_user(runner: Runner, current: Any) -> bool:
    """Whether this is the greenlet of a user, or one that ends with it."""
    if current in set(runner.user_greenlets):
        return True
    users = [each.args[0] for each in runner.user_greenlets if each.args]
    return any(current in getattr(user, "_greenlets", ()) for user in users)


def _quits(runner: Runner) -> bool:
    """Whether the runner was told to quit, and stops for that."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "quit" and frame.f_locals.get("self") is runner:
            return True
        frame = frame.f_back
    return False
