"""Leases without sockets: whatever messages do, no row is used twice or forgotten."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from protouser.feeders._lease_book import LeaseBook
from protouser.feeders._lease_holder import LeaseHolder

COUNT = 60
STEPS = ("take", "ask", "deliver", "repeat", "drop", "late", "wait", "stop", "kill", "long")


class Rows:
    wraps = 0

    def __init__(self):
        self.rows = [(n, [n]) for n in range(COUNT)]

    def take(self, count):
        taken, self.rows = self.rows[:count], self.rows[count:]
        return taken

    def left(self):
        return len(self.rows)

    def close(self):
        pass


class Network:
    """A master, three workers, and messages that are lost, doubled and out of order."""

    def __init__(self, requeue):
        self.book = LeaseBook(Rows(), 1, requeue, ttl=10, grace=5)
        self.workers = {name: LeaseHolder(0, True) for name in "abc"}
        self.time = 1.0
        self.flying = []
        self.used = []

    def do(self, step, name, place):
        holder = self.workers.get(name)
        if step == "take" and holder is not None and not holder.expired(self.time) and holder.ready:
            self.used.append(holder.pop()[0])
        elif step == "ask" and holder is not None and not holder._stopped:
            self.flying.append((name, "ask", holder.question(self.time, 1)))
        elif step in ("deliver", "repeat", "late") and self.flying:
            self.deliver(place % len(self.flying) if step == "late" else 0, step == "repeat")
        elif step == "drop" and self.flying:
            self.flying.pop(place % len(self.flying))
        elif step in ("wait", "long"):
            self.time += 4 if step == "wait" else 20
            self.book.tick(self.time)
        elif step == "stop" and holder is not None and place > 15:
            self.flying.append((name, "ask", holder.stop(self.time)))
            del self.workers[name]
        elif step == "kill" and place > 15:
            self.workers.pop(name, None)

    def deliver(self, place, again):
        name, kind, message = self.flying[place]
        if not again:
            self.flying.pop(place)
        if kind == "ask":
            answer = self.book.ask(name, message, self.time)
            if answer is not None:
                self.flying.append((name, "answer", answer))
        elif name in self.workers:
            self.workers[name].answer(message)

    def finish(self):
        """A new worker takes what is left, over a network that works."""
        self.flying.clear()
        self.time += 100
        self.book.tick(self.time)
        self.workers = {**self.workers, "late": LeaseHolder(0, True)}
        for _ in range(300):
            for name in self.workers:
                self.do("ask", name, 0)
                while self.flying:
                    self.deliver(0, False)
                for _ in range(20):
                    self.do("take", name, 0)


RUNS = st.lists(
    st.tuples(st.sampled_from(STEPS), st.sampled_from("abc"), st.integers(0, 19)), max_size=80
)


@settings(max_examples=60, deadline=None)
@given(RUNS)
def test_no_row_is_used_twice_where_those_of_lost_workers_are_dropped(steps):
    network = Network(requeue=False)
    for step in steps:
        network.do(*step)
    network.finish()
    assert len(network.used) == len(set(network.used))


@settings(max_examples=60, deadline=None)
@given(RUNS)
def test_no_row_is_left_out_where_those_of_lost_workers_go_to_others(steps):
    network = Network(requeue=True)
    for step in steps:
        network.do(*step)
    network.finish()
    assert set(network.used) == set(range(COUNT))
