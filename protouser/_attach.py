"""Where protouser meets Locust: the only module that touches Locust's global events.

Importing protouser in a locustfile adds its options to Locust's parser, and one listener to
``init``. Everything else is attached to the events of the environment that runs, so that several
environments in one process, and use as a library, keep apart.
"""

from __future__ import annotations

import locust
from locust import User
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import WorkerRunner

import inspect
import logging
from collections.abc import Sequence
from typing import Any, Final

import gevent

from protouser._buckets import use_fine_buckets
from protouser._class_options import check_options
from protouser._deserted import Deserted
from protouser._ending import Ending
from protouser._errors import ConfigurationError
from protouser._exceptions import add_exceptions
from protouser._exit_code import ExitCode
from protouser._exit_guard import ExitGuard
from protouser._final import FinalFigures
from protouser._floor import FLOOR, add_floors
from protouser._idle_hooks import IdleHooks
from protouser._interrupts import send_to_main
from protouser._limits import check_limits
from protouser._misspelt import misspelt
from protouser._options import Option, add_options, option
from protouser._proxy import PROXY
from protouser._proxy_setting import check_http_users
from protouser._refusal import tell_of_locustfiles
from protouser._results import (
    BASELINE,
    CSV,
    EXPORTER,
    HDR,
    HTML,
    JSON,
    Baseline,
    ResultFiles,
    add_tabs,
    serve_figures,
    write_hdr,
)
from protouser._schedule import check_schedules, schedule_lines, schedules
from protouser._sections import Section
from protouser._session import Session
from protouser._spawn_messages import remember_default_options
from protouser._summary import log_summary
from protouser._ticker import Ticker
from protouser.feeders._feeding import Feeding
from protouser.monitor import MONITOR, Monitoring
from protouser.thresholds import FILE, JUNIT, THRESHOLD, Judge, check_thresholds
from protouser.trace import TRACE, TRACE_FILE, TRACE_LIMIT, Tracing
from protouser.verdict import GeneratorWatch

__all__ = ["OPTIONS", "attach", "check_hosts", "check_hosts_of", "misspelt_options"]

logger = logging.getLogger(__name__)

#: Everything that ``locust`` understands besides its own options, in the order of ``--help``.
OPTIONS: Final[tuple[Option, ...]] = (
    JSON,
    HTML,
    CSV,
    HDR,
    THRESHOLD,
    FILE,
    JUNIT,
    BASELINE,
    TRACE,
    TRACE_FILE,
    TRACE_LIMIT,
    MONITOR,
    EXPORTER,
    FLOOR,
    PROXY,
)

_ATTACHED = "_protouser_attached"


def attach(environment: Environment) -> Session:
    """The session of an environment, listening to its events; safe to call again.

    The ``locust`` command and every ``ProtocolUser`` call it; a program that makes a master
    runner of its own calls it itself, since a master has no users.
    """
    use_fine_buckets()
    remember_default_options()
    session = Session.of(environment)
    if not getattr(environment, _ATTACHED, False):
        setattr(environment, _ATTACHED, True)
        _listen(session, environment)
    return session


def _listen(session: Session, environment: Environment) -> None:
    final = FinalFigures(session, environment)
    ending = Ending(environment, final)
    ending.listen_first()
    ticker = Ticker(session)
    Feeding.of(environment)  # before the final figures, which tell of what it does at the end
    events = environment.events
    events.test_start.add_listener(lambda environment, **_: _started(environment, final, ticker))
    if not isinstance(environment.runner, WorkerRunner):
        _add_schedules(session)
    add_exceptions(session, environment)
    GeneratorWatch(session, environment).listen()  # it looks at the watchdog before that stops
    events.test_stopping.add_listener(lambda environment, **_: _stopping(session))
    events.test_stop.add_listener(lambda environment, **_: _stopped(session, ticker))
    session.barrier.register()
    final.listen()  # after the listener above: closing may still report calls
    IdleHooks(session, environment).listen()
    events.test_stop.add_listener(lambda environment, **_: session.schedules.account())
    Tracing(session, environment).listen()
    Monitoring(session, environment).listen()
    events.reset_stats.add_listener(lambda **_: final.reset())
    if environment.reset_stats:
        events.spawning_complete.add_listener(lambda user_count, **_: session.reset())
    if not isinstance(environment.runner, WorkerRunner):
        _listen_where_results_are(session, environment)
    ending.listen()  # after all that happens when a test stops


def _add_schedules(session: Session) -> None:
    """The first section, whose lines stand below those of the calls."""

    def rows() -> list[dict[str, Any]]:
        return schedules(session.results())

    def lines() -> list[str]:
        return schedule_lines(session.results())

    session.sections.add(Section("schedules", "Schedules", rows, lines))


def _listen_where_results_are(session: Session, environment: Environment) -> None:
    events = environment.events
    add_tabs(session, environment)
    serve_figures(session, environment)
    events.test_start.add_listener(lambda environment, **_: add_floors(session, environment))
    files, judge = ResultFiles(session), Judge(session, environment)
    events.test_start.add_listener(lambda environment, **_: judge.start())
    events.test_stop.add_listener(lambda environment, **_: judge.conclude())
    baseline = Baseline(session, environment)
    events.test_start.add_listener(lambda environment, **_: baseline.start())
    events.test_stop.add_listener(lambda environment, **_: baseline.conclude())
    exit_code = ExitCode(session)
    events.test_start.add_listener(lambda environment, **_: exit_code.forget())
    events.test_stop.add_listener(lambda **_: exit_code.decide(judge.passed, baseline.passed))
    session.each_second.append(lambda: _count_users(session))
    session.each_second.append(Deserted(environment).look)
    events.test_stop.add_listener(lambda environment, **_: files.write())
    events.test_stop.add_listener(lambda environment, **_: write_hdr(session))
    events.quit.add_listener(lambda exit_code, **_: log_summary(session))


def _started(environment: Environment, final: FinalFigures, ticker: Ticker) -> None:
    # Locust asks for it when a test stops; the first time in a process it reads source files for
    # about 90 ms, in which every call still running would look slow. So the first time is now.
    inspect.stack()
    final.session.start()
    final.session.schedules.start(environment)
    final.session.barrier.register()
    final.register()
    if environment.runner is not None:  # run_single_user starts a test and never stops it
        ticker.start()


def _count_users(session: Session) -> None:
    assert session.environment is not None
    runner = session.environment.runner
    if runner is not None:
        session.figures.gauge("users", runner.user_count)


def _stopping(session: Session) -> None:
    session.barrier.close()
    session.stop_watching()
    session.schedules.freeze()
    # Users whose wait ended just now get to start their task; else Locust would take them for
    # waiting, and kill them in the task whatever the stop timeout says.
    gevent.sleep(0)


def _stopped(session: Session, ticker: Ticker) -> None:
    ticker.stop()
    session.stop()


def _on_init(environment: Environment, **_event: Any) -> None:
    """Attach to the environment of the ``locust`` command; stop it for what no run can heal."""
    try:
        check_hosts(environment)
        check_schedules(environment.user_classes)
        check_thresholds(environment)
        check_limits(environment)
        Feeding.of(environment).check()
        session = attach(environment)
        session.whole_process = True
        ExitGuard(session, environment).watch()
        _warn_of_misspelt_options(environment)
    except ConfigurationError as error:
        raise SystemExit(f"protouser: {error}") from None
    send_to_main()
    # The loop's clock stood still while everything was imported; a timer that is set now, such as
    # that of --run-time, would be short by as much.
    gevent.get_hub().loop.update_now()


def _warn_of_misspelt_options(environment: Environment) -> None:
    if not isinstance(environment.runner, WorkerRunner):
        for text in misspelt_options(environment.user_classes, environment.host):
            logger.warning("%s", text)


def check_hosts(environment: Environment) -> None:
    """Read hosts, options and proxies before the load starts; raises as ``check_hosts_of`` does."""
    check_hosts_of(environment.user_classes, environment.host, option(environment, PROXY))


def check_hosts_of(
    user_classes: Sequence[type[User]], given: str | None, proxy: str | None = None
) -> None:
    """Read hosts, options and proxies of these classes, with ``--host`` and the option as given.

    Raises:
        ConfigurationError: a host is malformed, nobody owns its scheme, or ``--host`` is for none
            of the user classes; an option has a value that it cannot have; a proxy is none, or
            cannot be gone through.
    """
    ours: list[Any] = [kind for kind in user_classes if hasattr(kind, "check_host")]
    all_ours = len(ours) == len(user_classes)
    if given and all_ours and not any(kind.accepts_host(given) for kind in ours):
        names = ", ".join(kind.__name__ for kind in ours)
        raise ConfigurationError(
            f"--host {given.partition('://')[0]}://... is for none of the user classes"
            f" ({names}); its scheme must be one of theirs"
        )
    check_http_users(user_classes, proxy)
    for kind in ours:
        kind.check_host(given)
        check_options(kind, kind._client_class(given))
        kind.check_proxy(given, proxy)


def misspelt_options(user_classes: Sequence[type[User]], given: str | None) -> list[str]:
    """A sentence for each attribute of these classes that is nearly an option; each once."""
    ours: list[Any] = [kind for kind in user_classes if hasattr(kind, "check_host")]
    found = (text for kind in ours for text in misspelt(kind, kind._client_class(given)))
    return list(dict.fromkeys(found))


def _on_parser(parser: LocustArgumentParser, **_event: Any) -> None:
    add_options(parser, OPTIONS)


tell_of_locustfiles()
locust.events.init_command_line_parser.add_listener(_on_parser)
locust.events.init.add_listener(_on_init)
