"""Messages per second through the codecs on one core, each way: what framing alone costs.

python benchmarks/codecs.py

A message has 64 bytes. Sending encodes one at a time, as a request does; receiving cuts a stream
that comes in reads of 1, 16 and 1,000 messages, which an engine cannot choose.
Time is CPU time of this process; every figure is a median of ``ROUNDS``.
"""

import os
import platform
import statistics
import time

from protouser_socket import fixed_length, length_prefix, lines, nul, stx_etx

ROUNDS = int(os.environ.get("ROUNDS", "5"))
MESSAGES = 200_000
GOAL = 200_000
PAYLOAD = b"x" * 64
FRAMINGS = [
    lines(),
    lines(b"\r\n"),
    nul(),
    stx_etx(),
    length_prefix(),
    length_prefix(2, "little", includes_itself=True),
    fixed_length(64),
]


def encode(framing):
    encoded = framing.encode
    for _ in range(MESSAGES):
        encoded(PAYLOAD)
    return MESSAGES


def decode(framing, burst):
    read = framing.encode(PAYLOAD) * burst
    feed = framing.decoder().feed
    found = 0
    for _ in range(MESSAGES // burst):
        found += len(feed(read))
    return found


def there_and_back(framing):
    """One message at a time, both ways: what a request and its reply cost."""
    encoded, feed = framing.encode, framing.decoder().feed
    return sum(len(feed(encoded(PAYLOAD))) for _ in range(MESSAGES))


def rate(work, *arguments):
    rates = []
    for _ in range(ROUNDS):
        began = time.process_time()
        done = work(*arguments)
        rates.append(done / (time.process_time() - began))
        assert done == MESSAGES
    return statistics.median(rates)


print(f"{platform.platform()}, Python {platform.python_version()}; messages of 64 bytes a second")
print(f"{'':55} {'encode':>10} {'decode 1':>10} {'16':>10} {'1,000':>10} {'both ways':>10}")
slowest = float("inf")
for framing in FRAMINGS:
    figures = [rate(encode, framing), *(rate(decode, framing, burst) for burst in (1, 16, 1000))]
    figures.append(rate(there_and_back, framing))
    slowest = min(slowest, *figures)
    print(f"{framing!r:55}", *(f"{figure:10,.0f}" for figure in figures))
print(f"the slowest: {slowest:,.0f}; goal: at least {GOAL:,}")
