"""Whatever order things happen in, no message is lost, doubled, or given to another's request.

Steps are drawn by hypothesis: messages that come before, during and after a wait, from the hub and
from a greenlet; waits that run out, are killed, or race with their message; two who wait for one
message; the end of the connection. Afterwards each message is accounted for exactly once.
"""

from __future__ import annotations

from collections import Counter

import gevent
from gevent import get_hub
from hypothesis import given, settings
from hypothesis import strategies as st

from protouser import CallTimeout, ConnectionLost, Inbox, now

SOON = 60.0
SHORT = 0.001

ids = st.integers(0, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.booleans(), st.sampled_from("ab")),
        st.tuples(st.just("reply"), st.booleans(), ids),
        st.tuples(st.just("ask"), ids, st.booleans()),
        st.tuples(st.just("read"), st.sampled_from(["any", "a"]), st.booleans()),
        st.tuples(st.just("expect"), st.sampled_from(["any", "a"]), st.booleans()),
        st.tuples(st.just("until"), st.booleans()),
        st.tuples(st.just("kill"), st.integers(0, 20)),
        st.tuples(st.just("pass time")),
        st.tuples(st.just("let others run")),
        st.tuples(st.just("interrupt")),
        st.tuples(st.just("end")),
    ),
    max_size=40,
)


def in_hub(function, *args):
    done = gevent.event.Event()

    def callback():
        try:
            function(*args)
        finally:
            done.set()

    get_hub().loop.run_callback(callback)
    assert done.wait(SOON)


def id_of(message):
    return message[1] if message[0] == "reply" else None


def is_a(message):
    return message[0] == "a"


MATCHES = {"any": None, "a": is_a}


class World:
    """An inbox, those who wait, and the books that are kept about both."""

    def __init__(self, policy, limit):
        self.inbox = Inbox(limit)
        self.tallied = Counter()
        self.inbox.configure(lambda counter, row: self.tallied.update([counter]), policy)
        self.sent, self.after_end, self.got, self.wrong = [], [], [], []
        self.greenlets = []

    def deliver(self, hub, kind, number):
        message = (kind, number, len(self.sent))
        self.sent.append(message)
        if self.inbox.ended:
            self.after_end.append(message)
        if hub:
            in_hub(self.inbox.deliver, message, now())
        else:
            self.inbox.deliver(message, now())

    def push(self, hub, kind):
        self.deliver(hub, kind, None)

    def reply(self, hub, number):
        self.deliver(hub, "reply", number)

    def ask(self, number, short):
        self.greenlets.append(gevent.spawn(self._ask, number, SHORT if short else None))

    def read(self, which, short):
        self.greenlets.append(gevent.spawn(self._read, which, SHORT if short else None))

    def expect(self, which, short):
        try:
            expected = self.inbox.expect(match=MATCHES[which], after=now())
        except ConnectionLost:
            return
        waits = gevent.spawn(self._wait, expected, which, SHORT if short else None)
        waits.rawlink(lambda _: expected.cancel())  # also when it was killed before it began
        self.greenlets.append(waits)

    def until(self, short):
        self.greenlets.append(gevent.spawn(self._until, SHORT if short else None))

    def kill(self, which):
        if self.greenlets:
            self.greenlets[which % len(self.greenlets)].kill(block=False)

    def interrupt(self):
        self.inbox.interrupt(ConnectionLost("refused"))

    def end(self):
        in_hub(self.inbox.end, ConnectionLost("gone"))

    def _take(self, message, fits):
        self.got.append(message)
        if not fits:
            self.wrong.append(message)

    def _ask(self, number, timeout):
        try:
            asked = self.inbox.ask(id_of, number, row="request", match=None)
        except (ConnectionLost, ValueError):  # ended, or the id is in flight
            return
        try:
            message = asked.wait(timeout, now(), "reply")[0]
        except BaseException as error:
            asked.cancel()
            if not isinstance(error, CallTimeout | ConnectionLost):
                raise
        else:
            self._take(message, message[:2] == ("reply", number))

    def _read(self, which, timeout):
        try:
            message = self.inbox.get(timeout, match=MATCHES[which])[0]
        except (CallTimeout, ConnectionLost):
            return
        self._take(message, which == "any" or is_a(message))

    def _wait(self, expected, which, timeout):
        try:
            message = expected.wait(timeout, now(), "message")[0]
        except (CallTimeout, ConnectionLost):
            return
        self._take(message, which == "any" or is_a(message))

    def _until(self, timeout):
        got = []
        try:
            while not got or not is_a(got[-1][0]):
                message, at, _ = self.inbox.get(timeout)
                got.append((message, at))
        except BaseException as error:
            self.inbox.give_back(got)
            if not isinstance(error, CallTimeout | ConnectionLost):
                raise
        else:
            for message, _ in got:
                self._take(message, True)

    def finish(self):
        gevent.sleep(0)
        gevent.killall(self.greenlets, timeout=SOON)
        gevent.sleep(0)
        assert all(greenlet.ready() for greenlet in self.greenlets)
        kept = []
        while len(self.inbox):
            kept.append(self.inbox.get(0)[0])
        self.inbox.end()
        return kept


def play(script, policy, limit):
    world = World(policy, limit)
    for name, *args in script:
        if name == "pass time":
            gevent.sleep(3 * SHORT)
        elif name == "let others run":
            gevent.sleep(0)
        else:
            getattr(world, name)(*args)
    return world, world.finish()


@settings(max_examples=200, deadline=None)
@given(steps, st.sampled_from(["keep", "drop"]), st.sampled_from([2, 10_000]))
def test_every_message_is_accounted_for_exactly_once(script, policy, limit):
    world, kept = play(script, policy, limit)
    assert world.wrong == []
    read = Counter(world.got)
    assert all(count == 1 for count in (read + Counter(kept)).values())
    counted = sum(world.tallied.values())
    lost_after_end = [m for m in world.after_end if m not in read and m not in kept]
    assert len(world.sent) - counted - len(lost_after_end) <= len(read) + len(kept)
    assert len(read) + len(kept) + counted <= len(world.sent)


@settings(max_examples=100, deadline=None)
@given(steps)
def test_what_is_kept_stays_in_the_order_of_arrival(script):
    reads_back = [step for step in script if step[0] not in ("kill", "until", "interrupt", "end")]
    _, kept = play(reads_back, "keep", 10_000)
    assert [message[2] for message in kept] == sorted(message[2] for message in kept)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(ids, st.booleans()), min_size=1, max_size=20), st.booleans())
def test_the_end_leaves_nobody_waiting(waits, interrupted):
    world = World("keep", 10_000)
    for number, correlated in waits:
        if correlated:
            world.ask(number, False)
        else:
            world.read("any", False)
    gevent.sleep(0)
    if interrupted:
        world.interrupt()
    world.end()
    gevent.joinall(world.greenlets, timeout=SOON)
    assert all(greenlet.ready() for greenlet in world.greenlets)
    assert not list(world.inbox._readers())
