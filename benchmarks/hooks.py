"""What hooks cost: a timed call without any, with three empty ones, and with a failing check.

    python benchmarks/hooks.py

All sides run in one process, in turn; figures are CPU time, medians of the rounds.
"""

from locust.env import Environment

import platform
import statistics
import time

from protouser import ProtocolUser, after_call, before_call

ROUNDS = 40
CALLS = 4_000


class Plain(ProtocolUser):
    protocol = "plain"


class Hooked(ProtocolUser):
    protocol = "hooked"

    @before_call
    def first(self, call):
        pass

    @before_call
    def second(self, call):
        pass

    @after_call
    def third(self, call):
        pass


def work():
    return b"four"


def main():
    environment = Environment(user_classes=[Plain, Hooked])
    environment.create_local_runner()
    plain, hooked = Plain(environment), Hooked(environment)

    def measure(calls):
        for _ in range(calls):
            with plain.measure("measure") as call:
                call.response = work()

    def looped(function):
        def run(calls):
            for _ in range(calls):
                function()

        return run

    sides = {
        "bare": looped(work),
        "measure": measure,
        "timed": looped(plain.timed(work)),
        "timed, three hooks": looped(hooked.timed(work)),
    }
    taken = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            began = time.process_time()
            side(CALLS)
            taken[name].append((time.process_time() - began) / CALLS * 1e6)
    print(f"{platform.platform()}, Python {platform.python_version()}, {ROUNDS} x {CALLS:,} calls")
    for name, times in taken.items():
        ratios = [mine / base for mine, base in zip(times, taken["timed"], strict=True)]
        print(
            f"{name:20}{statistics.median(times):8.2f} us{statistics.median(ratios):8.2f}x of timed"
        )
    print("goal: three hooks at most 1.30x")


if __name__ == "__main__":
    main()
