"""Leases without sockets: whatever messages do, no row is used twice or forgotten.

A master and up to five workers on a clock of their own; messages are lost, doubled, late and out of
order. Workers die, fall silent and come back, give rows back, stop, join late, and miss that the
test was started again. The master's clock may be another one and a quicker one, as far as the grace
of a lease allows. In the end the network works again, and one more worker takes what is left.
"""

from __future__ import annotations

from collections import deque
from unittest.mock import patch

import gevent
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from protouser import Feeder
from protouser.feeders import _leased_stock
from protouser.feeders._lease_book import LeaseBook
from protouser.feeders._lease_holder import LeaseHolder
from protouser.feeders._leased_stock import LeasedStock
from protouser.feeders._row import RowMaker
from protouser.feeders._stock import END, READY
from protouser.feeders._types import Types

COUNT = 60
TTL, GRACE = 10, 5
MOST_WORKERS = 5
WORKERS = st.integers(0, MOST_WORKERS - 1)
PACES = (1.0, 1.4)  # of the master's clock; the grace covers less than (TTL + GRACE) / TTL


class Rows:
    """So many rows; each says of which test it is."""

    wraps = 0

    def __init__(self, test):
        self.rows = [(n, [test, n]) for n in range(COUNT)]

    def take(self, count):
        taken, self.rows = self.rows[:count], self.rows[count:]
        return taken

    def left(self):
        return len(self.rows)

    def close(self):
        pass


class Leasing(RuleBasedStateMachine):
    """What can happen between a master and its workers."""

    requeue = False

    def __init__(self):
        super().__init__()
        self.time = 1.0  # by the clock of the workers
        self.clock = patch.object(_leased_stock, "now", lambda: self.time)
        self.clock.start()
        self.test = 0
        self.joined = 0
        self.workers = {}  # the stocks of those that have users
        self.posts = {}  # the stocks of all that live
        self.dead = set()
        self.quiet = set()  # missing as the master sees it, and alive
        self.flying = []
        self.delivered = deque(maxlen=5)
        self.used = []
        self.kept = []  # rows that a user may give back, with the stock that they are of
        self.gone_with_the_dead = 0
        self.calm = True  # nobody dies or gives back, and the test is started once
        self.book = self.new_book()

    @initialize(
        ahead=st.booleans(),
        calm=st.booleans(),
        count=st.integers(1, 3),
        pace=st.sampled_from(PACES),
    )
    def begin(self, ahead, calm, count, pace):
        self.ahead, self.calm, self.pace = ahead, calm, pace
        for _ in range(count):
            self.join()

    @precondition(lambda self: self.joined < MOST_WORKERS)
    @rule()
    def join(self):
        self.new_stock(f"w{self.joined}", 0)
        self.joined += 1

    @rule(worker=WORKERS, count=st.integers(1, 12))
    def take(self, worker, count):
        for name in self.chosen(worker):
            stock = self.workers[name]
            for _ in range(count):
                self.take_one(stock)

    @rule(worker=WORKERS)
    def keep_up(self, worker):
        for name in self.chosen(worker):
            self.workers[name].keep_up(0)

    @precondition(lambda self: not self.calm)
    @rule(place=st.integers(0, 19))
    def give_back(self, place):
        if self.kept:
            self.give_back_at(place % len(self.kept))

    @rule()
    def deliver(self):
        self.deliver_at(0)

    @rule()
    def deliver_all(self):
        for _ in range(50):
            self.deliver_at(0)

    @rule(worker=WORKERS, count=st.integers(1, 12))
    def take_where_all_is_well(self, worker, count):
        self.take(worker, count)
        self.deliver_all()
        self.take(worker, count)

    @rule(place=st.integers(0, 19))
    def deliver_out_of_order(self, place):
        self.deliver_at(place)

    @rule(place=st.integers(0, 19))
    def deliver_again(self, place):
        if self.delivered:
            self.flying.append(self.delivered[place % len(self.delivered)])
            self.deliver_at(-1)

    @rule(place=st.integers(0, 19))
    def lose(self, place):
        if self.flying:
            self.flying.pop(place % len(self.flying))

    @rule(seconds=st.sampled_from([1, 4, 9, 20]))
    def wait(self, seconds):
        self.time += seconds
        self.book.tick(self.masters_time)

    @rule(worker=WORKERS, seconds=st.sampled_from([4, 9, 20]))
    def be_answered_only_when_asking_again(self, worker, seconds):
        for name in self.chosen(worker):
            self.take(worker, 12)
            self.reach_the_master(name)
            self.flying = [sent for sent in self.flying if sent[:2] != (name, "answer")]
            self.wait(seconds)
            self.keep_up(worker)
            self.deliver_all()

    @rule(worker=WORKERS, count=st.integers(1, 12))
    def be_recalled_before_the_answer(self, worker, count):
        for name in self.chosen(worker):
            self.keep_up(worker)
            self.reach_the_master(name)
            self.posts[name].recall(self.book.epoch)
            self.deliver_all()
            self.take(worker, count)

    @precondition(lambda self: not self.calm)
    @rule(worker=WORKERS)
    def give_back_and_stop_before_the_answer(self, worker):
        for name in self.chosen(worker):
            stock = self.workers[name]
            mine = [place for place, kept in enumerate(self.kept) if kept[0] is stock]
            if mine:
                self.give_back_at(mine[0])
            self.reach_the_master(name)
            self.stop(worker)

    @rule(worker=WORKERS)
    def fall_silent(self, worker):
        self.quiet.update(self.chosen(worker))

    @rule()
    def be_heard_again(self):
        self.quiet.clear()

    @rule(worker=WORKERS)
    def stop(self, worker):
        for name in self.chosen(worker):
            self.close(self.workers.pop(name))

    @precondition(lambda self: not self.calm)
    @rule(worker=WORKERS)
    def kill(self, worker):
        for name in self.chosen(worker):
            self.dead.add(name)
            stock = self.workers.pop(name)
            del self.posts[name]
            self.gone_with_the_dead += len(stock.holder._returned)
            self.kept = [kept for kept in self.kept if kept[0] is not stock]

    @precondition(lambda self: not self.calm and self.test < 2)
    @rule(missed_by=st.sets(WORKERS, max_size=2))
    def start_again(self, missed_by):
        """The test is started again, or the master; some workers do not hear of it."""
        self.test += 1
        self.book = self.new_book()
        missed = {name for place in missed_by for name in self.chosen(place)}
        self.gone_with_the_dead = 0
        for name, stock in list(self.workers.items()):
            if name not in missed:
                self.close(stock)
                self.new_stock(name, stock.holder.sequence)
        self.kept = [kept for kept in self.kept if kept[0] in self.workers.values()]

    @invariant()
    def leased_rows_are_not_lost(self):
        assert self.book.lost(self.dead) == 0 or self.dead

    @invariant()
    def no_row_is_there_at_two_workers(self):
        stocks = [post for post in self.posts.values() if self.valid(post)]
        ready = [tuple(row) for stock in stocks for row in stock.ready]
        assert len(ready) == len(set(ready))

    @invariant()
    def who_knows_of_this_test_has_no_row_of_another(self):
        for stock in self.posts.values():
            if stock.holder._epoch == self.book.epoch:
                assert all(row.test == self.test for row in stock.ready)

    @invariant()
    def no_row_is_used_twice_where_those_of_lost_workers_are_dropped(self):
        assert self.requeue or len(self.used) == len(set(self.used))

    def teardown(self):
        try:
            if hasattr(self, "ahead"):
                self.finish()
        finally:
            self.clock.stop()

    def finish(self):
        """Those that are there give back what they do not use, and nobody waits for ever."""
        self.flying.clear()
        self.quiet.clear()
        self.time += 100
        late = self.new_stock("late", 0)
        assert self.ends(late), "a user waits for ever"
        used = {n for test, n in self.used if test == self.test}
        lost = 0 if self.requeue else self.book.lost(self.dead)
        assert COUNT - len(used) <= lost + self.gone_with_the_dead
        for user in self.workers.values():
            assert self.ends(user), "a user waits for ever"
        self.no_row_is_used_twice_where_those_of_lost_workers_are_dropped()
        if self.calm:
            assert self.book.duplicates == len(self.used) - len(set(self.used))

    def ends(self, user):
        """Whether one who takes all that it gets comes to the end, and comes to it again."""
        ended = 0
        for _ in range(400):
            self.time += 1
            for stock in self.posts.values():
                stock.keep_up(0)
            while self.flying:
                self.deliver_at(0)
            while (state := self.take_one(user)) == READY:
                pass
            ended += state == END
            if ended == 3:
                return True
        return False

    @property
    def masters_time(self):
        return 1000 + self.pace * self.time

    def chosen(self, place):
        names = list(self.workers)
        return names[place : place + 1]

    def take_one(self, stock):
        """A user that asks as a desk does."""
        try:
            row = stock.pop()
        except IndexError:
            state = stock.fill()
            known = stock.holder._epoch == self.book.epoch
            assert not (state == END and known and self.book.supply.left()), "too early"
            return state
        assert self.valid(stock)
        assert row.test == self.test or stock.holder._epoch != self.book.epoch
        self.used.append(tuple(row))
        self.kept.append((stock, row))
        return READY

    def valid(self, stock):
        return not stock.holder.fenced or self.time <= stock.holder._valid

    def give_back_at(self, place):
        stock, row = self.kept.pop(place)
        if not stock.holder.void:  # of two tests at once, where nothing can go back
            self.used.remove(tuple(row))
        stock.give_back([row])

    def close(self, stock):
        stock.close()
        self.kept = [kept for kept in self.kept if kept[0] is not stock]

    def new_book(self):
        return LeaseBook(Rows(self.test), 1000 + self.test, self.requeue, TTL, GRACE)

    def new_stock(self, name, sequence):
        def send(question):
            self.flying.append((name, "ask", question))

        holder, maker = LeaseHolder(sequence, self.ahead), RowMaker("rows", Types(None))
        stock = LeasedStock("rows", holder, maker, send)
        self.workers[name] = self.posts[name] = stock
        return stock

    def deliver_at(self, place):
        if not self.flying:
            return
        name, kind, message = self.flying.pop(place % len(self.flying))
        self.delivered.append((name, kind, message))
        if kind == "ask":
            self.ask(name, message)
        elif name in self.posts and kind == "recall":
            self.posts[name].recall(message)
        elif name in self.posts:
            self.posts[name].take_answer({**message, "names": ["test", "n"]})

    def reach_the_master(self, name):
        """What a worker asked arrives; the answers are under way."""
        for sent in [sent for sent in self.flying if sent[:2] == (name, "ask")]:
            self.deliver_at(self.flying.index(sent))

    def ask(self, name, question):
        missing = self.dead | self.quiet
        answer = self.book.ask(name, question, self.masters_time, missing)
        if answer is None:
            return
        self.flying.append((name, "answer", answer))
        if answer["state"] == "wait":
            for other in self.book.holders(name, missing):
                self.flying.append((other, "recall", self.book.epoch))


class Requeueing(Leasing):
    requeue = True


OFTEN = settings(max_examples=300, stateful_step_count=50, deadline=None)


def test_no_row_is_used_twice_where_those_of_lost_workers_are_dropped():
    run_state_machine_as_test(Leasing, settings=OFTEN)


def test_no_row_is_left_out_where_those_of_lost_workers_go_to_others():
    run_state_machine_as_test(Requeueing, settings=OFTEN)


@pytest.fixture
def scenario():
    """Begins one of the above, to go a way that chance seldom finds."""
    begun = []

    def begin(kind, count, pace=1.0):
        case = kind()
        begun.append(case)
        case.begin(ahead=True, calm=False, count=count, pace=pace)
        return case

    yield begin
    for case in begun:
        case.clock.stop()


def test_what_was_given_back_goes_back_once_where_the_worker_stops_unanswered(scenario):
    case = scenario(Leasing, count=1)
    case.take_where_all_is_well(0, 2)
    case.give_back_and_stop_before_the_answer(0)
    case.finish()


@pytest.mark.parametrize("kind", [Leasing, Requeueing])
def test_rows_that_come_after_a_recall_are_not_counted_to_what_was_let_go_of(scenario, kind):
    case = scenario(kind, count=1)
    case.take_where_all_is_well(0, 6)  # more than half of its rows: it asks for more
    case.be_recalled_before_the_answer(0, 2)
    case.finish()
    assert len(case.used) == len(set(case.used))


def test_a_quick_clock_of_the_master_takes_no_rows_that_a_worker_may_use(scenario):
    case = scenario(Requeueing, count=2, pace=max(PACES))
    case.take_where_all_is_well(0, 1)
    case.wait(9)
    case.take_where_all_is_well(1, 1)
    assert case.workers["w0"].ready
    assert case.valid(case.workers["w0"])
    case.no_row_is_there_at_two_workers()


def test_rows_that_came_when_asked_for_again_are_valid_from_when_they_were_first(scenario):
    case = scenario(Requeueing, count=2)
    case.be_answered_only_when_asking_again(0, 9)
    assert case.workers["w0"].ready
    case.wait(9)
    case.take_where_all_is_well(1, 1)
    case.no_row_is_there_at_two_workers()


def test_a_late_answer_renews_no_rows_that_went_to_others(scenario):
    case = scenario(Requeueing, count=2)
    case.take_where_all_is_well(0, 1)
    case.wait(9)
    case.keep_up(0)
    case.lose(0)
    case.wait(9)
    case.keep_up(0)
    case.deliver_all()
    case.take_where_all_is_well(1, 1)
    case.no_row_is_there_at_two_workers()
    case.finish()


def test_a_row_that_went_to_another_worker_does_not_come_back_beside_it(scenario):
    case = scenario(Requeueing, count=3)
    case.take_where_all_is_well(0, 1)
    case.wait(20)
    case.take_where_all_is_well(1, 1)
    case.give_back_at(0)
    case.deliver_all()
    case.take(0, 1)
    case.take_where_all_is_well(2, 1)
    case.no_row_is_there_at_two_workers()
    assert len(case.used) == len(set(case.used))


@pytest.mark.parametrize("types", [None, {"n": int}])
@pytest.mark.parametrize(
    ("names", "values"), [(["n", "m"], ["1", "x"]), (None, {"n": "1", "m": "x"})]
)
def test_rows_go_back_as_they_came(types, names, values):
    sent = []
    holder, maker = LeaseHolder(0, True), RowMaker("rows", Types(types))
    stock = LeasedStock("rows", holder, maker, sent.append)
    stock.fill()
    answer = LeaseBook(Rows(0), 1, False, TTL, GRACE).ask("w", sent[0], 1.0)
    stock.take_answer({**answer, "rows": [[7, values]], "names": names})
    popped = stock.pop()
    row = stock.row(popped)
    assert (row.number, row.m, row.n) == (7, "x", "1" if types is None else 1)
    stock.give_back([popped])
    stock.close()
    assert sent[-1]["returned"] == [(1, 7, values)]


def test_slow_rows_are_lent_one_by_one_and_quick_ones_together():
    def rows():
        for n in range(40):
            gevent.sleep(0.05 if n < 3 else 0)
            yield n

    supply = Feeder(rows).lent_supply()
    taken = [supply.take(20) for _ in range(3)]
    assert taken == [[(1, [0])], [(2, [1])], [(3, [2])]]
    quick = []
    while more := supply.take(20):
        quick.append(len(more))
    assert sum(quick) == 37
    assert max(quick) > 1


@pytest.mark.parametrize("ahead", [True, False])
def test_all_who_wait_are_asked_for_at_once(ahead):
    sent = []
    maker = RowMaker("rows", Types(None))
    stock = LeasedStock("rows", LeaseHolder(0, ahead), maker, sent.append)
    stock.waiting = 29
    stock.fill()
    assert sent[0]["want"] == 30
