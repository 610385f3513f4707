"""What a measured call costs: the same callable bare, by hand, by Locust's measure, and by ours.

    python benchmarks/overhead.py

All sides run in one process, in turn, for several rounds; the figures are CPU time, medians of
the rounds, and what counts are the ratios. Locust's own statistics listener is attached, as in
any test; where Locust is measured it rounds in its own way, which is quicker than ours.
"""

from locust import stats
from locust.env import Environment

import functools
import platform
import statistics
import time

from protouser import ProtocolUser

ROUNDS = 50
CALLS = 4_000


LOCUSTS_ROUNDING = stats.bucket_response_time


class Worker(ProtocolUser):
    protocol = "bench"


def work():
    return b"four"


def as_without_protouser(side):
    @functools.wraps(side)
    def measured(calls):
        ours, stats.bucket_response_time = stats.bucket_response_time, LOCUSTS_ROUNDING
        side(calls)
        stats.bucket_response_time = ours

    return measured


def locusts_sides(request):
    @as_without_protouser
    def by_hand(calls):
        for _ in range(calls):
            started = time.time()
            response = work()
            request.fire(
                request_type="bench",
                name="by hand",
                response_time=(time.time() - started) * 1000,
                response_length=len(response),
                exception=None,
                context={},
            )

    @as_without_protouser
    def locust_measure(calls):
        for _ in range(calls):
            with request.measure("bench", "locust") as meta:
                meta["response_length"] = len(work())

    return [by_hand, locust_measure]


def sides():
    environment = Environment(user_classes=[Worker])
    environment.create_local_runner()
    user = Worker(environment)
    ours = user.timed(work)
    assert stats.bucket_response_time is not LOCUSTS_ROUNDING

    def bare(calls):
        for _ in range(calls):
            work()

    def protouser_measure(calls):
        for _ in range(calls):
            with user.measure("measure") as call:
                call.response = work()

    def protouser_timed(calls):
        for _ in range(calls):
            ours()

    of_locust = locusts_sides(environment.events.request)
    return [bare, *of_locust, protouser_measure, protouser_timed]


def main():
    functions = sides()
    taken = {function.__name__: [] for function in functions}
    for round_ in range(ROUNDS):
        for function in functions[round_ % 5 :] + functions[: round_ % 5]:
            started = time.process_time()
            function(CALLS)
            taken[function.__name__].append((time.process_time() - started) / CALLS * 1e6)
    base = statistics.median(taken["locust_measure"])
    print(f"{platform.platform()}, Python {platform.python_version()}, {ROUNDS} x {CALLS:,} calls")
    print(f"{'':20}{'us/call':>9}{'of Locust measure':>20}")
    for name, times in taken.items():
        ratios = [
            mine / theirs for mine, theirs in zip(times, taken["locust_measure"], strict=True)
        ]
        print(f"{name:20}{statistics.median(times):9.2f}{statistics.median(ratios):19.2f}x")
    print(f"goals: protouser_measure 1.00x, protouser_timed 1.15x (Locust: {base:.2f} us)")


if __name__ == "__main__":
    main()
