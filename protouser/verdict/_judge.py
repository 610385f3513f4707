"""The rules by which a generator is called the bottleneck. Pure: ledgers in, a verdict out.

Each limit is where a figure that is reported would be wrong by more than it may be, and not where
something merely happened: a verdict that is always "yes" is read by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from protouser._watchdog import Place
from protouser.verdict._ledger import Account, Ledger
from protouser.verdict._verdict import (
    BLOCKED,
    CPU,
    DATA,
    STARVED,
    THREADS,
    USERS,
    Cause,
    Verdict,
)

__all__ = ["judge"]

#: p99.9 is reported: what takes up a thousandth of the time can be seen in it.
_BLOCKED_SHARE: Final = 0.001
#: Spawning users may fill a processor for a second or two of a minute, and no percentile shows it.
_BUSY_SHARE: Final = 0.05
_BUSY_SECONDS: Final = 1.5
#: Being late matters where it is more than this part of the response times' own 99th percentile.
_OF_P99: Final = 0.1
#: More than this share of late iterations is in p99.
_UNSERVED_SHARE: Final = 0.01
#: Users that wait for data longer than this share of their time do not make the load.
_DATA_SHARE: Final = 0.01
#: The waiting for a thread is a series of its own, but the load is less by about as much.
_THREADS_SHARE: Final = 0.05
#: A line that blocks computes, and does not wait, if it had the processor this share of the time;
#: other processes may have had it as well.
_COMPUTES: Final = 0.1

#: A function in which less than this share of a busy time was spent is not named.
_STANDS_OUT: Final = 0.3

#: The share of a second from which on it is said that other processes had the processor.
_STARVED_TOO: Final = 0.2

_MORE_WORKERS: Final = "use more worker processes (--processes -1)"
_GIVE_CORE: Final = (
    "other processes of this machine keep the processor from it: give it a core of its own"
)
_SHORT_WAITS: Final = (
    "code waits for less than 0.1 s at a time in a way that gevent does not know of: run it in a"
    ' thread: self.timed(..., run="thread"); or its container\'s CPU limit stops it'
)


def judge(ledgers: Mapping[str, Ledger], p99: float = 0.0) -> Verdict:
    """Say whether the generator was the bottleneck.

    Args:
        ledgers: what was observed, by the worker's name; empty for the only process there is.
        p99: of all response times, in seconds; 0 where there are none.
    """
    causes = [cause for worker, ledger in ledgers.items() for cause in _causes(worker, ledger, p99)]
    causes.sort(key=lambda cause: (-cause.weight, cause.since))
    return Verdict(max((ledger.seconds for ledger in ledgers.values()), default=0.0), tuple(causes))


def _causes(worker: str, ledger: Ledger, p99: float) -> Iterator[Cause]:
    if not ledger.seconds:
        return
    yield from _blocked(worker, ledger)
    yield from _processor(worker, ledger, p99)
    yield from _users(worker, ledger)
    for name, account in ledger.data.items():
        if account.share > _DATA_SHARE:
            text = f"users waited for rows of {name} for {account.share:.0%} of their time"
            remedy = (
                "rows came too slowly, or all were lent: a quicker source, more rows, or users that"
                " give theirs back sooner"
            )
            yield _cause(DATA, worker, account, account.share, text, remedy)
    for name, account in ledger.threads.items():
        if account.share > _THREADS_SHARE:
            text = f"{name} waited for a free thread for {account.share:.0%} of its time"
            remedy = f"all threads of the pool were busy: {_MORE_WORKERS}"
            yield _cause(THREADS, worker, account, account.share, text, remedy)


def _blocked(worker: str, ledger: Ledger) -> Iterator[Cause]:
    for place, account in ledger.blocks.items():
        weight = min(account.seconds / ledger.seconds, 1.0)
        if weight > _BLOCKED_SHARE:
            text = f"the event loop was blocked for {account.seconds:.1f} s"
            remedy = 'if it waits for something, run it in a thread: self.timed(..., run="thread")'
            if account.share > _COMPUTES:
                remedy = f"it computes: do it before the test, or {_MORE_WORKERS}"
            shown = _shown(place)
            yield _cause(BLOCKED, worker, account, weight, text, remedy, f" at {shown}", shown)


def _processor(worker: str, ledger: Ledger, p99: float) -> Iterator[Cause]:
    cpu = ledger.cpu
    if _lasted(cpu, ledger):
        text = f"the process used {cpu.share:.0%} of a core for {cpu.seconds:.0f} s"
        kept = cpu.worst > _STARVED_TOO
        where, place = _busiest(ledger)
        where += ", and other processes kept it from using more" if kept else ""
        remedy = f"{_MORE_WORKERS}, or fewer users for each"
        if kept:
            remedy = "give it a core of its own, and then " + remedy
        yield _cause(CPU, worker, cpu, cpu.seconds / ledger.seconds, text, remedy, where, place)
    for cause, account, where, remedy in (
        (STARVED, ledger.starved, "", _GIVE_CORE),
        (BLOCKED, ledger.waited, ", though it was not busy", _SHORT_WAITS),
    ):
        if _lasted(account, ledger) and account.share > _OF_P99 * p99:
            late, seconds = account.worst * 1000, account.seconds
            text = f"the event loop was up to {late:.0f} ms late for {seconds:.0f} s"
            weight = seconds / ledger.seconds
            yield _cause(cause, worker, account, weight, text, remedy, where)


def _busiest(ledger: Ledger) -> tuple[str, str]:
    """The function in which most of a busy time was spent, and its busiest line; if any stands out.

    What a function calls that is not the tester's own counts as the line's own time.
    """
    functions: dict[tuple[str, str], float] = {}
    for place, seconds in ledger.lines.items():
        function = (place.filename, place.function)
        functions[function] = functions.get(function, 0.0) + seconds
    if not functions:
        return "", ""
    most = max(functions, key=lambda each: functions[each])
    share = min(functions[most] / ledger.cpu.seconds, 1.0)
    if share < _STANDS_OUT:
        return "", ""
    own = [each for each in ledger.lines if (each.filename, each.function) == most]
    shown = _shown(max(own, key=lambda each: ledger.lines[each]))
    return f", {share:.0%} of it at {shown}", shown


def _shown(place: Place) -> str:
    return f"{place.filename}:{place.line} (in {place.function})"


def _lasted(account: Account, ledger: Ledger) -> bool:
    return account.seconds > max(_BUSY_SECONDS, _BUSY_SHARE * ledger.seconds)


def _users(worker: str, ledger: Ledger) -> Iterator[Cause]:
    unserved = ledger.unserved
    if not ledger.dropped and unserved.share <= _UNSERVED_SHARE:
        return
    late = int(unserved.amount) - ledger.dropped
    text = (
        f"all users were busy when {unserved.amount:,.0f} of {unserved.of:,.0f} iterations were"
        f" due ({late:,} began late, {ledger.dropped:,} were dropped)"
    )
    right = "if the server stalled, the response times have that wait and are right"
    remedy = f"{_too_few(ledger)}; {right}"
    yield _cause(USERS, worker, unserved, unserved.share, text, remedy)


def _too_few(ledger: Ledger) -> str:
    """By Little's law it takes rate x time of an iteration; whoever is always busy shows both."""
    each = ledger.begun / (ledger.most_users * ledger.unserved.seconds or 1)
    if not each:
        return f"{ledger.most_users:,} users are too few: none had time for another iteration"
    return (
        f"{ledger.most_users:,} users are too few: each had time for about {each:.2g} iterations a"
        f" second, so it takes the rate / {each:.2g} of them"
    )


def _cause(
    cause: str,
    worker: str,
    account: Account,
    weight: float,
    text: str,
    remedy: str,
    where: str = "",
    place: str = "",
) -> Cause:
    of = f" ({worker})" if worker else ""
    text = f"{text} from second {account.since:.0f}{of}{where}"
    return Cause(cause, worker, account.since, account.seconds, weight, text, remedy, place)
