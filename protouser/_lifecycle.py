"""The life of a user: prepare, connect, on_start, tasks, on_stop, close - on every way out.

Locust calls ``on_start`` and ``on_stop`` of the instance, so ``ProtocolUser`` binds these two
there: a class may override ``on_start`` without ``super()``, and mix-ins and TaskSets cannot
break it. Locust runs ``on_stop`` only for a user that ends by ``GreenletExit`` or ``StopUser``;
a user that cannot go on is therefore ended by ``GreenletExit``, which is silent.
"""

from __future__ import annotations

from locust.exception import StopTest, StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

import functools
import inspect
import logging
import random
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent

from protouser._call import now
from protouser._errors import CallSkipped, ConfigurationError
from protouser._excerpt import text_of
from protouser._executors import Stamp
from protouser._steering import ENDINGS, steers_locust
from protouser._sys_exit import end_the_test, pass_on
from protouser._tasks import guard
from protouser._warm_up import WarmUp

if TYPE_CHECKING:
    from protouser._user import ProtocolUser

__all__ = ["start", "stop"]

logger = logging.getLogger(__name__)

_LONGEST_BACKOFF = 30.0


def start(user: ProtocolUser) -> None:
    """What happens before the first task; what fails here ends this user, and no other."""
    tasks = user._taskset_instance
    _guard(user, tasks)
    user._session.welcome(user)
    user._turns = user._session.schedules.enter(user)
    try:
        _call(user, user.prepare)
        _connect(user)
        _begin(user)
    except CallSkipped as skipped:
        _go_on_without(user, skipped)
    except StopUser:
        raise gevent.GreenletExit from None
    except ENDINGS as ending:
        pass_on(user, ending)
    except BaseException as error:
        if isinstance(error, StopTest) or (tasks is None and isinstance(error, Exception)):
            raise
        _end_user(user, error)


def _begin(user: ProtocolUser) -> None:
    user._warm_up = WarmUp(user.warm_up) if user.warm_up else None
    user._started = True
    _call(user, functools.partial(type(user).on_start, user))


def stop(user: ProtocolUser) -> None:
    """What happens after the last task; nothing here keeps a user from ending."""
    try:
        if user._started:
            user._started = False
            _call(user, functools.partial(type(user).on_stop, user))
    except (StopUser, StopTest, CallSkipped):
        pass
    except SystemExit as asked:
        end_the_test(user, asked)
    except Exception:  # noqa: BLE001  the user ends all the same
        logger.error("%s.on_stop failed:\n%s", type(user).__name__, traceback.format_exc())
    finally:
        _end(user)


def _guard(user: ProtocolUser, tasks: Any) -> None:
    if tasks is not None:
        guard(user, tasks, survives_timeouts=True)
        vars(tasks).update(run=functools.partial(_run, user, tasks.run))


def _call(user: ProtocolUser, method: Callable[[], Any]) -> None:
    """Call a method of the life cycle, which may be ``async def`` like a task."""
    function = method.func if isinstance(method, functools.partial) else method
    if inspect.iscoroutinefunction(function):
        user._session.executor("asyncio").call(method, (), {}, Stamp())
    else:
        method()


def _go_on_without(user: ProtocolUser, skipped: CallSkipped) -> None:
    """A veto ends ``on_start`` quietly, like a task; but without a connection there is no user."""
    if not user._started:
        logger.info("%s ends before its first task: %s", type(user).__name__, skipped)
        raise gevent.GreenletExit


def _run(user: ProtocolUser, run: Callable[[], None]) -> None:
    """Run the tasks; an exception that Locust does not catch closes the user as well."""
    try:
        run()
    except (StopUser, StopTest, *ENDINGS):
        raise
    except BaseException:
        _end(user)
        raise


def _end(user: ProtocolUser) -> None:
    user._session.schedules.leave(user)
    try:
        user._close()
    finally:
        if user.environment.runner is None:
            user._session.close()  # nobody will say that the test has stopped


def _connect(user: ProtocolUser) -> None:
    """Call ``connect`` until it succeeds or the attempts are used up; each attempt is counted."""
    user._use_proxy()
    for attempt in range(1, max(1, user.connect_attempts) + 1):
        began = now()
        try:
            _call(user, user.connect)
        except (Exception, gevent.Timeout) as error:
            if steers_locust(error):
                raise
            _count_failed_connect(user, error, began)
            user._release()
            if attempt >= user.connect_attempts or isinstance(error, ConfigurationError):
                raise
            _back_off(user, attempt)
        else:
            return


def _count_failed_connect(user: ProtocolUser, error: BaseException, began: float) -> None:
    if not user._has_reported(error):
        call = user.measure("connect").begin()
        call.start(began)
        call.end(error)


def _back_off(user: ProtocolUser, attempt: int) -> None:
    """Wait in the state in which Locust stops a user at once, not at the end of its task."""
    longest = min(user.connect_backoff * 2 ** (attempt - 1), _LONGEST_BACKOFF)
    if user._state == LOCUST_STATE_STOPPING:
        raise StopUser
    user._state = LOCUST_STATE_WAITING
    gevent.sleep(longest * random.uniform(0.5, 1))
    if user._state == LOCUST_STATE_STOPPING:
        raise StopUser
    user._state = LOCUST_STATE_RUNNING


def _end_user(user: ProtocolUser, error: BaseException) -> None:
    if user._has_reported(error):
        reason = text_of(error)
        why = f": {reason}" if user._session.is_news(reason) else ", for the failure above"
        text = f"{type(user).__name__} ends before its first task{why}"
        if user._session.is_news(text):
            logger.warning("%s (said once for all of them)", text)
    else:
        text = "".join(traceback.format_exception(error)).rstrip()
        logger.error("%s ends, its on_start failed:\n%s", type(user).__name__, text)
        user.environment.events.user_error.fire(
            user_instance=user, exception=error, tb=error.__traceback__
        )
    raise gevent.GreenletExit
