"""What traces cost: calls with ``--protouser-trace failures``, and with ``all``, against none.

    python benchmarks/traces.py

Every call is a success, so that "failures" writes nothing: that is what it should cost nothing for.
With "all" the first twenty of each name are written, and the others are only counted. All sides run
in one process, in turn; figures are CPU time, medians of the rounds, and so are the ratios.
"""

from locust.env import Environment

import platform
import statistics
import time

from protouser import ProtocolUser, attach
from protouser.trace import Selection, Trace

ROUNDS = 60
CALLS = 4_000
KEPT = 20


class Worker(ProtocolUser):
    protocol = "bench"


def work():
    return b"four"


def user_with(words):
    """A user of an environment of its own, with such a trace."""
    environment = Environment(user_classes=[Worker])
    environment.create_local_runner()
    user = Worker(environment)
    if words is not None:
        kept = []
        attach(environment).trace_with(Trace(Selection.parse(words), kept.append, KEPT))
    return user


def ways(user):
    """Ways to make calls as this user, by name."""
    timed = user.timed(work)
    checked = user.timed(work, names="checked", check=len)

    def measure():
        with user.measure("measure") as call:
            call.response = work()

    return {"measure": measure, "timed": timed, "timed, with a check": checked}


def main():
    sides = {words: ways(user_with(words)) for words in (None, "failures", "all")}
    taken = {(way, words): [] for words, found in sides.items() for way in found}
    for round_ in range(ROUNDS):
        keys = list(taken)
        for way, words in keys[round_ % len(keys) :] + keys[: round_ % len(keys)]:
            function = sides[words][way]
            began = time.process_time()
            for _ in range(CALLS):
                function()
            taken[way, words].append((time.process_time() - began) / CALLS * 1e6)
    print(f"{platform.platform()}, Python {platform.python_version()}, {ROUNDS} x {CALLS:,} calls")
    print(f"{'':22}{'trace':>10}{'us/call':>9}{'of none':>9}")
    for (way, words), times in taken.items():
        pairs = zip(times, taken[way, None], strict=True)
        ratio = statistics.median(mine / base for mine, base in pairs)
        print(f"{way:22}{words or 'none':>10}{statistics.median(times):9.2f}{ratio:8.3f}x")
    print('goal: "failures" at most 1.020x')


if __name__ == "__main__":
    main()
