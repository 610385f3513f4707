"""How a task ends, for tasks of users and of TaskSets, nested ones too.

Locust knows one way for a task to fail: an exception that it logs and counts as an error of the
locustfile. For a call that was already counted as failed that is one report too many, so the very
exception that a call reported ends the task as ``RescheduleTask`` does, quietly. An uncaught
``gevent.Timeout``, a cancellation of asyncio and their like are no ``Exception`` and would end the
user for good without ``on_stop``; here they become errors like any other.

``execute_task`` is replaced on the instance of the running TaskSet, so that it does not matter
what a user's TaskSet overrides; a nested TaskSet is entered through a function, which Locust
calls with the parent, and gets the same treatment when it is made.
"""

from __future__ import annotations

from locust.exception import RescheduleTask
from locust.user.task import TaskSet

import inspect
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import gevent

from protouser._errors import CallSkipped, CallTimeout, ProtouserError
from protouser._excerpt import text_of
from protouser._executors import Stamp
from protouser._schedule import run_in_turn
from protouser._steering import ENDINGS
from protouser._sys_exit import pass_on

if TYPE_CHECKING:
    from protouser._user import ProtocolUser

__all__ = ["guard"]

logger = logging.getLogger(__name__)

Task = Callable[[Any], Any]


def guard(user: ProtocolUser, taskset: TaskSet, survives_timeouts: bool = False) -> None:
    """Make the tasks of a TaskSet instance end as calls demand.

    A ``gevent.Timeout`` between two tasks of a nested TaskSet ends that TaskSet, in its parent's
    task; between two tasks of the user itself the run has to survive it.
    """
    guarded = _Guarded(user, taskset)
    vars(taskset).update(execute_task=guarded.execute)
    if survives_timeouts:
        vars(taskset).update(run=guarded.run)


class _Guarded:
    """One running TaskSet, with its own two methods kept behind ours."""

    def __init__(self, user: ProtocolUser, taskset: Any) -> None:
        self._user = user
        self._execute = taskset.execute_task
        self._run = taskset.run

    def execute(self, task: Any) -> None:
        """Run a task, in its turn where the user's class has a schedule."""
        turns = self._user._turns
        if turns is None or _is_taskset(task):
            self._execute_guarded(task)
        else:
            run_in_turn(self._user, turns, self._execute_guarded, task)

    def _execute_guarded(self, task: Any) -> None:
        user = self._user
        try:
            self._execute(task if _is_plain(task) else _runnable(user, task))
        except CallSkipped:
            raise RescheduleTask from None
        except ENDINGS as ending:
            pass_on(user, ending)
        except BaseException as error:
            shown = _as_shown(user, error)
            if shown is error:
                raise
            raise shown from error
        finally:
            if user._after_task:
                for function in tuple(user._after_task):
                    function()

    def run(self) -> None:
        while True:
            try:
                self._run()
            except gevent.Timeout as timeout:
                _complain(self._user, timeout)
            else:
                return


def _as_shown(user: ProtocolUser, raised: BaseException) -> Exception:
    if user.environment.catch_exceptions and user._has_reported(raised):
        return RescheduleTask()
    return raised if isinstance(raised, Exception) else _as_error(raised)


def _as_error(raised: BaseException) -> Exception:
    if isinstance(raised, gevent.Timeout):
        text = f"a gevent.Timeout ({raised}) ended the task; catch it, or measure the call"
        return CallTimeout(text)
    return ProtouserError(f"a {type(raised).__name__} ended the task: {text_of(raised)}")


def _complain(user: ProtocolUser, timeout: gevent.Timeout) -> None:
    error = _as_error(timeout)
    logger.error("%s: %s", type(user).__name__, error)
    user.environment.events.user_error.fire(
        user_instance=user, exception=error, tb=timeout.__traceback__
    )


def _runnable(user: ProtocolUser, task: Any) -> Task:
    if _is_taskset(task):
        return _entering(user, task)
    if _is_async(task):
        return _on_the_loop(user, task)
    return task  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def _is_plain(task: Any) -> bool:
    """True for what runs as it is; one question for each task that is run, in place of two."""
    return not (_is_taskset(task) or _is_async(task))


@lru_cache(maxsize=256)
def _is_taskset(task: Any) -> bool:
    """True for what is entered, not run: the tasks in it take turns, it does not."""
    return inspect.isclass(task) and issubclass(task, TaskSet)


@lru_cache(maxsize=256)
def _is_async(task: Any) -> bool:
    return inspect.iscoroutinefunction(task)


def _entering(user: ProtocolUser, taskset_class: type[TaskSet]) -> Task:
    def enter(parent: Any) -> None:
        nested: Any = taskset_class(parent)
        guard(user, nested)
        nested.run()

    return enter


def _on_the_loop(user: ProtocolUser, task: Task) -> Task:
    def run(holder: Any) -> None:
        user._session.executor("asyncio").call(task, (holder,), {}, Stamp())

    return run
