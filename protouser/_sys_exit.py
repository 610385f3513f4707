"""``sys.exit()`` in the code of a user ends the test in order, and the process with its code.

gevent hands a SystemExit that leaves a greenlet to the main one, which ends the process at once:
users are torn out of their calls, and there are no results. What was asked for is the end, not
that loss; so the runner quits, as it does when a user calls ``runner.quit()``.
"""

from __future__ import annotations

from locust.env import Environment
from locust.runners import STATE_CLEANUP, STATE_STOPPED, STATE_STOPPING

import logging
from typing import TYPE_CHECKING, NoReturn

import gevent

from protouser._errors import ProtouserError
from protouser._excerpt import representation

if TYPE_CHECKING:
    from protouser._user import ProtocolUser

__all__ = ["end_the_test", "pass_on"]

logger = logging.getLogger(__name__)


def pass_on(user: ProtocolUser, ending: BaseException) -> NoReturn:
    """One of ``ENDINGS`` goes through the code of a user: as it is, or as the end of this user."""
    if isinstance(ending, SystemExit):
        end_the_test(user, ending)
        raise gevent.GreenletExit from None
    if isinstance(ending, KeyboardInterrupt) and gevent.getcurrent().parent is not None:
        # it is the main greenlet's to act upon; this user ends as others do
        gevent.get_hub().handle_system_error(KeyboardInterrupt, ending)
        ending = gevent.GreenletExit()
    if isinstance(ending, gevent.GreenletExit):
        user._cancel_left()
    raise ending


def end_the_test(user: ProtocolUser, asked: SystemExit) -> None:
    """End the test for a user who called ``sys.exit``; the user itself is the caller's to end.

    Raises:
        SystemExit: there is no test, as under ``run_single_user``.
    """
    environment, session = user.environment, user._session
    if environment.runner is None:
        raise asked
    if session.leaving:
        return
    session.leaving = True
    called = f"sys.exit({'' if asked.code is None else representation(asked.code)})"
    logger.error(
        "%s called %s: the test ends now, with its results. Call"
        " self.environment.runner.quit() to end a test, or raise StopUser() to end one user",
        type(user).__name__,
        called,
    )
    if code := _exit_code(asked):
        environment.process_exit_code = environment.process_exit_code or code
        environment.events.user_error.fire(  # a master hears of it by this
            user_instance=user,
            exception=ProtouserError(f"{called} ended the test"),
            tb=asked.__traceback__,
        )
    if environment.runner.state not in (STATE_STOPPING, STATE_CLEANUP, STATE_STOPPED):
        gevent.spawn(_quit, environment)  # this greenlet ends with its user


def _exit_code(asked: SystemExit) -> int:
    """What Python makes of it: a text is the reason of a failure."""
    if asked.code is None:
        return 0
    return asked.code if isinstance(asked.code, int) else 1


def _quit(environment: Environment) -> None:
    assert environment.runner is not None
    if environment.web_ui is None:
        environment.runner.quit()
    else:
        environment.runner.stop()  # the page with the results stays
