"""What all users of one Locust environment share: figures, executors, watchdog, complaints.

A session belongs to one environment in one process; ``Session.of`` finds or makes it. Outside
Locust (``open_client`` in a script) there is a session without an environment, which measures
and tells nobody.
"""

from __future__ import annotations

from locust.env import Environment

import gc
import logging
import traceback
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import gevent

from protouser._barrier import Barrier
from protouser._call import Call, get_thread_ident, now
from protouser._chosen_hooks import CallHooks, ChosenHooks
from protouser._errors import ProtouserError
from protouser._exceptions import Exceptions
from protouser._excerpt import representation, text_of
from protouser._executors import AsyncioExecutor, Bridge, Executor, PinnedExecutor, ThreadExecutor
from protouser._figures import Figures
from protouser._limits import Headroom
from protouser._names import Names, as_name
from protouser._reasons import Reasons
from protouser._report import Report
from protouser._schedule import Schedules
from protouser._sections import Sections
from protouser._timeline import Note, Timeline
from protouser._watchdog import Block, Delays, Watchdog, debugger_attached
from protouser._whose import is_testers

if TYPE_CHECKING:
    from protouser._user import ProtocolUser
    from protouser.trace import Trace

__all__ = ["Session"]

logger = logging.getLogger(__name__)

_ATTRIBUTE = "_protouser_session"
_REMEMBERED_PLACES = 1000


class Session:
    """One environment's measuring: where calls report to, and what they need of the process.

    Attributes:
        figures: what was measured here in the present second.
        reasons: what failures are reported with.
        exceptions: what users have raised outside of any call.
        kept: what was measured here in the seconds before.
        timeline: everything that was measured here, or on all workers, by the second; not on a
            worker, whose slices go to its master.
        reports: whether slices are kept for a master.
        running: whether a test has started and not stopped.
        leaving: whether a user of this test has called ``sys.exit``.
        sections: what other parts add to the results.
        by_worker: what each worker sent, by its client id.
        whole_process: the process is a run of the ``locust`` command, and nothing else.
        missing: workers whose last figures did not arrive.
        trace: what gets to see each call that is no plain success; None where nothing is traced.
        traces_successes: it wants to see those as well.
        barrier: where users wait for all others.
        known_until: the second of the test before which everything is on the time line.
        each_second: called once per second of a test; what raises is logged once.
        schedules: who may start a task when.
    """

    _latest: ClassVar[weakref.ref[Session] | None] = None

    def __init__(self, environment: Environment | None = None) -> None:
        self.environment = environment
        self.whole_process = False
        self.thread = get_thread_ident()
        self.barrier = Barrier(environment)
        self.fire: Callable[..., None] = _tell_nobody
        if environment is not None:
            self.fire = environment.events.request.fire
        self.reports = False
        self.running = False
        self.leaving = False
        self.known_until: Callable[[], int] = lambda: self._second
        self.each_second: list[Callable[[], object]] = []
        self.sections = Sections()
        self._early: list[tuple[str, str]] = []
        self.ended: float | None = None
        self.schedules = Schedules(self)
        self.reset()
        self._bridge = Bridge.of_hub()
        self._logged: set[tuple[str, str, int]] = set()
        self._complained: set[object] = set()
        self._executors: dict[str, Executor] = {}
        self._hooks: dict[type, ChosenHooks] = {}
        self._watchdog: Watchdog | None = None
        self._headroom = Headroom()
        self.trace_with(None)

    @classmethod
    def of(cls, environment: Environment) -> Session:
        """The session of an environment, made on first use."""
        session = getattr(environment, _ATTRIBUTE, None)
        if session is None:
            session = cls(environment)
            setattr(environment, _ATTRIBUTE, session)
            cls._latest = weakref.ref(session)
        return session

    @classmethod
    def latest(cls) -> Session | None:
        """The session of the environment that was made last in this process, if it is alive."""
        return None if cls._latest is None else cls._latest()

    def start(self) -> None:
        """A test starts: forget the last one."""
        self.reset()
        self._headroom.start()
        self.running = True
        self.leaving = False
        early, self._early = self._early, []
        for kind, text in early:
            self.note(kind, text)

    def stop(self) -> None:
        """No user runs any more; what still ends while the session closes counts all the same."""
        self.running = False
        self.ended = now()
        self.close()

    def reset(self) -> None:
        """Forget every figure, as Locust does when a test starts."""
        self.names = Names()
        self.reasons = Reasons()
        self.exceptions = Exceptions()
        self.figures = Figures(self.names)
        self.kept = Figures(self.names)
        self.timeline = Timeline()
        self.by_worker: dict[str, Figures] = {}
        self.missing: list[str] = []
        self.began = now()
        self.ended = None
        self._second = 0
        self._unsent = Report(self.began)
        self.schedules.forget()

    @property
    def seconds(self) -> float:
        """How long the test has run, or ran."""
        return (self.ended or now()) - self.began

    def cut(self) -> None:
        """End the present slice: what is measured from now on belongs to the second of now."""
        second, self._second = self._second, int(self.seconds)
        if not self.figures:
            return
        figures, self.figures = self.figures, Figures(self.names)
        self.kept.merge(figures)
        if self.reports:
            self._unsent.slices.append((second, figures))
        else:
            self.timeline.add(second, figures)

    def take_new(self) -> Report:
        """What a master is to be told since the last time."""
        self.cut()
        report, self._unsent = self._unsent, Report(self.began)
        return report

    def note(self, kind: str, text: str) -> None:
        """Note something about this moment of the test, or the beginning of the next one."""
        if not self.running and self.environment is not None and self.environment.runner:
            self._early.append((kind, text))
            return
        note = Note(self.seconds, kind, as_name(text))
        if self.reports:
            self._unsent.notes.append(note)
        else:
            self.timeline.note(note)

    def own_figures(self) -> Figures:
        """Everything measured in this process."""
        figures = Figures(self.names)
        figures.merge(self.kept)
        figures.merge(self.figures)
        return figures

    def results(self) -> Figures:
        """Everything measured here and on all workers."""
        figures = self.own_figures()
        for worker in self.by_worker.values():
            figures.merge(worker)
        return figures

    def trace_with(self, trace: Trace | None) -> None:
        """Show finished calls to a trace from now on, or to none."""
        self.trace = trace
        self.traces_successes = trace is not None and not trace.selection.failures

    def hooks_of(self, user_class: type) -> ChosenHooks:
        """The hooks for the users of a class, chosen when its first one asks."""
        found = self._hooks.get(user_class)
        if found is None:
            found = self._hooks[user_class] = ChosenHooks(user_class, self.whole_process)
        return found

    @property
    def chosen_hooks(self) -> list[CallHooks]:
        """The hooks around calls of each class that had a user."""
        return [each.of_calls for each in self._hooks.values() if each.of_calls is not None]

    def executor(self, kind: str) -> Executor:
        """The executor that all calls of a kind share; for "pinned" a new one."""
        if kind == "pinned":
            return PinnedExecutor()
        executor = self._executors.get(kind)
        if executor is None:
            executor = self._executors[kind] = _EXECUTORS[kind]()
        return executor

    def in_loop(self) -> bool:
        """True in the native thread of the asyncio loop, where ``async def`` tasks run."""
        executor = self._executors.get("asyncio")
        return isinstance(executor, AsyncioExecutor) and executor.in_loop()

    def hand_over(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a function in a greenlet of the hub's thread; called from a native thread."""
        self._bridge.post(gevent.spawn, function, *args)

    def in_hub(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a function that does not block in the hub's thread, where figures are kept."""
        if get_thread_ident() == self.thread:
            function(*args)
        else:
            self._bridge.post(function, *args)

    def add(self, type_: str, name: str, counter: str, value: int) -> None:
        """Add to a counter; in the hub's thread."""
        self.figures.add(type_, name, counter, value)

    def add_to_trend(self, name: str, value: float) -> None:
        """Count a value of a trend; in the hub's thread."""
        self.figures.trend(name, value)

    def complain_once(self, about: object, text: str, error: BaseException) -> None:
        """Log what somebody's code raised where it must not harm a call; once for each code."""
        if about not in self._complained and len(self._complained) < _REMEMBERED_PLACES:
            self._complained.add(about)
            what = representation(error)
            logger.error("%s raised %s. Said once.", text, what, exc_info=error)

    def is_news(self, text: str) -> bool:
        """True the first time that this is to be said."""
        if text in self._complained or len(self._complained) >= _REMEMBERED_PLACES:
            return False
        self._complained.add(text)
        return True

    def note_failure(self, call: Call, error: BaseException) -> None:
        """Remember that ``error`` was counted, and log the first one of each name and line."""
        if call.user is not None:
            call.user._reported.append(error)
        if error.__traceback__ is None or self._was_logged(call.name, error):
            return
        what, where = text_of(error), _circumstances(error)
        self.is_news(what)  # who ends for it need not say it again
        logger.warning("%s %s failed: %s%s", call.type, call.name, what, where)

    def _was_logged(self, name: str, error: BaseException) -> bool:
        frame = traceback.extract_tb(error.__traceback__, limit=-1)[-1]
        place = (name, frame.filename, frame.lineno or 0)
        if self.environment is None or place in self._logged:
            return True
        if len(self._logged) >= _REMEMBERED_PLACES:
            return True
        if self.environment.runner is not None:
            self._logged.add(place)
        return False

    def welcome(self, user: ProtocolUser) -> None:
        """A user starts."""
        self.watch()
        self._headroom.admit(type(user))
        if self.trace is not None:
            self.trace.welcome(user)

    def watch(self) -> None:
        """Start to watch for code that blocks the event loop; not under a debugger."""
        if self._watchdog is None and not debugger_attached():
            self._watchdog = Watchdog(self._complain)
            self._watchdog.start()

    def take_delays(self) -> Delays:
        """How late the event loop was since the last time that this was asked."""
        return Delays() if self._watchdog is None else self._watchdog.take_delays()

    def stop_watching(self) -> None:
        """Stop to watch; Locust itself blocks the event loop for a moment when a test stops."""
        if self._watchdog is not None:
            self._watchdog.stop()
            self._watchdog = None

    def _complain(self, block: Block) -> None:
        if self._watchdog is not None:
            logger.warning("%s", block.advice())

    def close(self) -> None:
        """Stop the watchdog and every executor; they start again when they are needed."""
        self.stop_watching()
        self.schedules.end()
        for executor in list(self._executors.values()):
            self.close_executor(executor)
        self._executors.clear()  # not before: what unwinds there asks whether it is in the loop

    def cancel_unfinished(self) -> None:
        """Cancel what still runs when all users have ended, in greenlets that do not end with them.

        To know such calls all the time would cost every call; to look for them costs once.
        """
        for call in [each for each in gc.get_objects() if type(each) is Call]:
            if call.runs_in(self):
                call.cancel()

    def close_executor(self, executor: Executor) -> None:
        """Close an executor and count the calls that could not be stopped."""
        executor.close()
        if executor.abandoned:
            self.figures.add("", "", "abandoned threads", executor.abandoned)


_EXECUTORS: dict[str, Callable[[], Executor]] = {
    "asyncio": AsyncioExecutor,
    "thread": ThreadExecutor,
}


def _circumstances(error: BaseException) -> str:
    """Where it came from: our own errors say it all, so only the tester's line is added to them."""
    if not isinstance(error, ProtouserError):
        return "\n" + "".join(traceback.format_exception(error)).rstrip()
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if is_testers(frame.f_globals):
            code = frame.f_code
            return f" (at {code.co_filename}:{line} in {code.co_name})"
    return ""


def _tell_nobody(**_event: Any) -> None:
    """Outside Locust there is nobody to tell."""
