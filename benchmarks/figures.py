"""What measuring itself costs: one value recorded, and one report of every worker merged.

CPU time of this process; every figure is the best of several rounds, since nothing but this code
is to be measured. Goals: at most 250 ns a value, at most 50 ms for the reports of eight workers
with 100 names each, which arrive every three seconds.
"""

import locust  # noqa: F401  first: it patches the standard library for gevent

import random
import time

import msgpack

from protouser._figures import SERVICE, SUCCESS, Figures
from protouser._histogram import Histogram
from protouser._names import Names
from protouser._report import Clocks, Report
from protouser._timeline import Timeline

ROUNDS = 5
VALUES = 200_000
WORKERS, NAMES, SECONDS, PER_SECOND = 8, 100, 3, 50


def best(measure):
    """Seconds of CPU that the quickest round took."""
    return min(measure() for _ in range(ROUNDS))


def record():
    """Seconds of CPU for all values, with sorting in."""
    chance = random.Random(1)
    values = [chance.lognormvariate(12.8, 1) for _ in range(VALUES)]
    histogram = Histogram()
    began = time.process_time()
    for value in values:
        histogram.record(value)
    assert histogram.count == VALUES
    return time.process_time() - began


def report(worker):
    """One report as it comes over the wire: every name called in every second."""
    chance = random.Random(worker)
    new = Report(0.0)
    for second in range(SECONDS):
        figures = Figures()
        for name in range(NAMES):
            for _ in range(PER_SECOND):
                value = chance.lognormvariate(12.8, 1)
                figures.record("tcp", f"get {name}", SERVICE, SUCCESS, value)
        new.slices.append((second, figures))
    return msgpack.packb(new.to_wire())


def merge(reports):
    """Seconds of CPU for all reports, and of the longest part after which the event loop runs."""
    names, timeline, clocks = Names(), Timeline(), Clocks()
    whole = longest = 0.0
    for worker, packed in enumerate(reports):
        figures = Figures(names)
        began = time.process_time()
        new = Report.from_wire(msgpack.unpackb(packed))
        marks = [time.process_time()]
        for _, slice_ in new.slices:
            figures.merge(slice_)
            marks.append(time.process_time())
        clocks.place(str(worker), new, 0.0, timeline)
        marks.append(time.process_time())
        whole += marks[-1] - began
        longest = max(longest, *(b - a for a, b in zip([began, *marks], marks, strict=False)))
    return whole, longest


def main():
    """Print every figure beside its goal."""
    print(f"record a value        {best(record) / VALUES * 1e9:8.0f} ns   (goal 250)")
    reports = [report(worker) for worker in range(WORKERS)]
    rounds = [merge(reports) for _ in range(ROUNDS)]
    print(f"merge 8 x 100 names   {min(r[0] for r in rounds) * 1e3:8.1f} ms   (goal 50)")
    print(f"longest without yield {min(r[1] for r in rounds) * 1e3:8.1f} ms")
    print(f"a worker's report     {len(reports[0]) / 1024:8.0f} KiB")


if __name__ == "__main__":
    main()
