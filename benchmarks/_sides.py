"""Two ways to do the same work, measured in turn: CPU per call, and calls per second.

A benchmark names its ``Comparison``s and the server, and calls ``main``:

    COMPARISONS = [Comparison("echo", {"by hand": by_hand, "protouser": ours}, Goal("cpu", 0.9))]

    if __name__ == "__main__":
        main(COMPARISONS, serve)

``by_hand(url)`` and ``ours(url)`` return a Locust user class; ``serve()`` is a context manager that
yields the URL of a server in a process of its own. Each run of a side is a fresh process with real
Locust users and Locust's statistics attached; the sides take turns, and every figure is a median of
``ROUNDS``. CPU is user plus system time of the client process while the users work, divided by the
calls made. Ratios are medians of the rounds' ratios: second side / first side.
"""

from locust.env import Environment

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import gevent

ROUNDS = int(os.environ.get("ROUNDS", "5"))
WARM_UP = 1.0
SECONDS = 3.0


class Goal(NamedTuple):
    """What the second side should reach: at most this ratio of "cpu", or at least it of "rate"."""

    figure: str
    ratio: float


class Comparison(NamedTuple):
    """A name, two sides (URL -> user class; the reference first) and a goal.

    ``users`` are the numbers of users to compare with. ``counted`` is the name of the row whose
    calls count, where it is not all of them.
    """

    name: str
    sides: Mapping[str, Callable[[str], type]]
    goal: Goal
    users: Sequence[int] = (50,)
    counted: str | None = None


class Figures(NamedTuple):
    """Microseconds of CPU per call, and calls per second."""

    cpu: float
    rate: float


def main(
    comparisons: Sequence[Comparison], serve: Callable[[], AbstractContextManager[Any]]
) -> None:
    """Run the comparisons whose name begins with an argument, or all of them."""
    if sys.argv[1:2] == ["client"]:
        number, side, url, users = sys.argv[2:]
        _work(comparisons[int(number)], side, url, int(users))
        return
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    wanted = tuple(sys.argv[1:]) or ("",)
    with serve() as url:
        for number, comparison in enumerate(comparisons):
            if comparison.name.startswith(wanted):
                for users in comparison.users:
                    _compare(number, comparison, str(url), users)


def _compare(number: int, comparison: Comparison, url: str, users: int) -> None:
    sides = list(comparison.sides)
    found: dict[str, list[Figures]] = {side: [] for side in sides}
    for round_ in range(ROUNDS):
        for side in reversed(sides) if round_ % 2 else sides:
            found[side].append(_run(number, side, url, users))
    title = f"{comparison.name}, {users} users"
    for side in sides:
        cpu = statistics.median(figures.cpu for figures in found[side])
        rate = statistics.median(figures.rate for figures in found[side])
        print(f"{title:30} {side:24} {cpu:8.1f} us/call {rate:10,.0f} calls/s")
    figure, ratio = comparison.goal
    pairs = zip(found[sides[0]], found[sides[1]], strict=True)
    ratios = [getattr(ours, figure) / getattr(theirs, figure) for theirs, ours in pairs]
    limit = "at most" if figure == "cpu" else "at least"
    print(
        f"{title:30} {figure} ratio {statistics.median(ratios):.2f}x"
        f" ({min(ratios):.2f}-{max(ratios):.2f}; goal: {limit} {ratio}x)",
        flush=True,
    )


def _run(number: int, side: str, url: str, users: int) -> Figures:
    command = [sys.executable, sys.argv[0], "client", str(number), side, url, str(users)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        sys.exit(f"{side}:\n{done.stdout}{done.stderr}")
    cpu, rate = done.stdout.split()[-2:]
    return Figures(float(cpu), float(rate))


def _work(comparison: Comparison, side: str, url: str, users: int) -> None:
    environment = Environment(user_classes=[comparison.sides[side](url)])
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=min(users, 100))
    gevent.sleep(WARM_UP)
    calls, cpu, clock = _calls(environment, comparison), _cpu(), time.perf_counter()
    gevent.sleep(SECONDS)
    calls = _calls(environment, comparison) - calls
    cpu, clock = _cpu() - cpu, time.perf_counter() - clock
    failed = dict(environment.stats.errors)
    runner.quit()
    if failed or not calls:
        sys.exit(f"{calls} calls, failures: {failed}")
    print(cpu / calls * 1e6, calls / clock)


def _calls(environment: Environment, comparison: Comparison) -> int:
    if comparison.counted is None:
        return environment.stats.total.num_requests
    entries = environment.stats.entries.values()
    return sum(entry.num_requests for entry in entries if entry.name == comparison.counted)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
