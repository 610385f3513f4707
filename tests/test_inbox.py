"""The inbox: order, waiting, deadlines, the end, and that no message is lost to a dead greenlet."""

from __future__ import annotations

import gevent
import pytest
from gevent import get_hub
from hypothesis import given, settings
from hypothesis import strategies as st

from protouser._call import now
from protouser._errors import CallTimeout, ConnectionLost, MalformedMessage
from protouser._inbox import Inbox

SOON = 60.0


def in_hub(function, *args):
    """Call as an engine does: from a callback of the hub, whose end is waited for."""
    done = gevent.event.Event()

    def callback():
        try:
            function(*args)
        finally:
            done.set()

    get_hub().loop.run_callback(callback)
    assert done.wait(SOON)


def waiting(function, *args):
    """A greenlet that has reached its first wait."""
    greenlet = gevent.spawn(function, *args)
    gevent.sleep(0)
    assert not greenlet.ready()
    return greenlet


def test_a_message_that_is_there_is_returned_at_once_with_its_time():
    inbox = Inbox()
    inbox.deliver(b"one", 1.5)
    assert inbox.get(timeout=0) == (b"one", 1.5, False)


def test_messages_come_in_the_order_of_arrival():
    inbox = Inbox()
    for number in range(5):
        inbox.deliver(number, 0.0)
    assert len(inbox) == 5
    assert [inbox.get()[0] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_waiting_greenlet_runs_before_deliver_returns_in_the_hub():
    inbox, seen = Inbox(), []
    reader = waiting(lambda: seen.append(inbox.get(SOON)))
    in_hub(lambda: (inbox.deliver(b"x", 2.0), seen.append("delivered")))
    assert seen == [(b"x", 2.0, True), "delivered"]
    assert reader.ready()


def test_deliver_from_another_greenlet_wakes_the_reader_and_comes_back():
    inbox = Inbox()
    reader = waiting(inbox.get, SOON)
    inbox.deliver(b"x", 2.0)
    assert not reader.ready()
    assert reader.get(timeout=SOON) == (b"x", 2.0, True)


def test_several_readers_are_served_in_the_order_in_which_they_came():
    inbox = Inbox()
    readers = [waiting(inbox.get, SOON) for _ in range(3)]
    in_hub(lambda: [inbox.deliver(number, 0.0) for number in range(3)])
    assert [reader.get(timeout=SOON)[0] for reader in readers] == [0, 1, 2]


def test_a_timeout_says_what_did_not_come_and_never_fires_early():
    inbox = Inbox()
    began = now()
    with pytest.raises(CallTimeout, match=r"^no reply within 0\.05 s$"):
        inbox.get(0.05, awaited="reply")
    assert now() - began >= 0.05


def test_a_timeout_counts_from_the_time_that_is_given():
    inbox = Inbox()
    with pytest.raises(CallTimeout, match=r"^no message within 60 s$"):
        inbox.get(60, since=now() - 60)


def test_a_timer_that_runs_on_from_an_answered_wait_ends_only_who_is_overdue():
    inbox = Inbox()
    answered = waiting(inbox.get, 0.3)
    in_hub(inbox.deliver, b"x", 0.0)
    assert answered.get(timeout=SOON)
    began = now()
    with pytest.raises(CallTimeout):
        inbox.get(0.5)
    assert now() - began >= 0.5


def test_a_shorter_wait_behind_a_longer_one_ends_first():
    inbox = Inbox()
    patient = waiting(inbox.get, SOON)
    with pytest.raises(CallTimeout):
        inbox.get(0.02)
    in_hub(inbox.deliver, b"x", 0.0)
    assert patient.get(timeout=SOON)[0] == b"x"


def test_every_overdue_reader_is_ended_and_the_rest_go_on_waiting():
    inbox = Inbox()
    overdue = [waiting(inbox.get, 0.03) for _ in range(3)]
    patient = waiting(inbox.get, SOON)
    gevent.joinall(overdue, timeout=SOON)
    assert [type(reader.exception) for reader in overdue] == [CallTimeout] * 3
    in_hub(inbox.deliver, b"x", 0.0)
    assert patient.get(timeout=SOON)[0] == b"x"


def test_a_switch_by_somebody_else_is_not_taken_for_a_message():
    inbox = Inbox()
    reader = waiting(inbox.get, SOON)
    in_hub(reader.switch)
    assert not reader.ready()
    in_hub(inbox.deliver, b"x", 0.0)
    assert reader.get(timeout=SOON)[0] == b"x"


def test_a_killed_reader_leaves_its_message_to_the_next():
    inbox = Inbox()
    killed = waiting(inbox.get, SOON)
    patient = waiting(inbox.get, SOON)
    killed.kill()
    in_hub(inbox.deliver, b"x", 0.0)
    assert patient.get(timeout=SOON)[0] == b"x"
    assert len(inbox) == 0


def test_a_reader_killed_after_its_message_was_scheduled_gives_it_back():
    inbox = Inbox()
    killed = waiting(inbox.get, SOON)
    killed.kill(block=False)
    inbox.deliver("first", 1.0)
    inbox.deliver("second", 2.0)
    killed.join(SOON)
    assert isinstance(killed.value, gevent.GreenletExit)
    assert [inbox.get(0)[0], inbox.get(0)[0]] == ["first", "second"]


def test_a_message_given_back_goes_to_who_waits_already():
    inbox = Inbox()
    killed = waiting(inbox.get, SOON)
    patient = waiting(inbox.get, SOON)
    killed.kill(block=False)
    inbox.deliver("first", 1.0)
    assert patient.get(timeout=SOON) == ("first", 1.0, True)


def test_a_killed_reader_that_waits_elsewhere_is_not_disturbed_by_the_late_wake_up():
    inbox = Inbox()
    slept = []

    def reads_then_sleeps():
        try:
            inbox.get(SOON)
        finally:
            gevent.sleep(0.02)
            slept.append(True)

    killed = waiting(reads_then_sleeps)
    killed.kill(block=False)
    inbox.deliver("first", 1.0)
    killed.join(SOON)
    assert slept == [True]


def test_a_gevent_timeout_in_a_reader_frees_its_place():
    inbox = Inbox()

    def reads():
        with gevent.Timeout(0.02, False):
            inbox.get()

    reader = waiting(reads)
    reader.join(SOON)
    inbox.deliver(b"x", 0.0)
    assert inbox.get(0)[0] == b"x"


def test_the_end_wakes_everybody_at_once_and_stays():
    inbox = Inbox()
    readers = [waiting(inbox.get, SOON) for _ in range(3)]
    in_hub(inbox.end, ConnectionLost("gone"))
    assert [str(reader.exception) for reader in readers] == ["gone"] * 3
    with pytest.raises(ConnectionLost, match="gone"):
        inbox.get(SOON)
    assert inbox.ended


def test_what_came_before_an_orderly_end_can_still_be_read():
    inbox = Inbox()
    inbox.deliver(b"last", 1.0)
    inbox.end()
    inbox.deliver(b"after", 2.0)
    assert inbox.get() == (b"last", 1.0, False)
    with pytest.raises(ConnectionLost, match="the connection has ended"):
        inbox.get()


def test_a_failure_drops_what_nobody_has_read():
    inbox = Inbox()
    inbox.deliver(b"doubtful", 1.0)
    inbox.fail(MalformedMessage("nonsense"))
    with pytest.raises(MalformedMessage, match="nonsense"):
        inbox.get()


def test_the_first_end_holds():
    inbox = Inbox()
    inbox.end(ConnectionLost("first"))
    inbox.end(ConnectionLost("second"))
    with pytest.raises(ConnectionLost, match="first"):
        inbox.get()


def test_ending_stops_the_timer_so_that_nothing_keeps_the_loop_alive():
    inbox = Inbox()
    reader = waiting(inbox.get, 1000)
    assert inbox._alarm._timer is not None
    inbox.end()
    reader.join(SOON)
    assert inbox._alarm._timer is None
    assert isinstance(reader.exception, ConnectionLost)


def test_a_full_inbox_pauses_its_source_once_and_resumes_it_when_half_read():
    calls = []
    inbox = Inbox(4, lambda: calls.append("full"), lambda: calls.append("drained"))
    for number in range(6):
        inbox.deliver(number, 0.0)
    assert calls == ["full"]
    taken = [inbox.get()[0] for _ in range(3)]
    assert calls == ["full"]
    taken.append(inbox.get()[0])
    assert calls == ["full", "drained"]
    assert taken == [0, 1, 2, 3]


def test_what_was_asked_for_at_leisure_keeps_no_full_inbox_from_pausing_its_source():
    calls = []
    inbox = Inbox(2, lambda: calls.append("full"), lambda: calls.append("drained"))
    expected = inbox.expect(match="three".__eq__, after=0.0)
    for message in ("one", "two"):
        inbox.deliver(message, 1.0)
    assert calls == ["full"]
    waiting_for_it = waiting(expected.wait, SOON, now(), "message")
    assert calls == ["full", "drained"], "now it is waited for"
    in_hub(inbox.deliver, "three", 2.0)
    assert waiting_for_it.get(timeout=SOON)[0] == "three"


def test_a_reader_takes_only_what_it_asks_for_and_leaves_the_rest_in_order():
    inbox = Inbox()
    for word in ("a1", "b1", "a2", "b2"):
        inbox.deliver(word, 1.0)
    assert inbox.get(SOON, match=lambda word: word.startswith("b"))[0] == "b1"
    assert [inbox.get(SOON)[0] for _ in range(3)] == ["a1", "a2", "b2"]


def test_a_message_goes_to_the_first_reader_that_it_suits():
    inbox = Inbox()
    picky = waiting(lambda: inbox.get(SOON, match=lambda word: word == "mine"))
    plain = waiting(lambda: inbox.get(SOON))
    in_hub(inbox.deliver, "other", 1.0)
    in_hub(inbox.deliver, "kept", 2.0)
    in_hub(inbox.deliver, "mine", 3.0)
    assert picky.get(timeout=SOON) == ("mine", 3.0, True)
    assert plain.get(timeout=SOON) == ("other", 1.0, True)
    assert inbox.get(SOON)[0] == "kept"


def test_what_was_there_before_is_left_to_others_when_only_later_messages_count():
    inbox = Inbox()
    inbox.deliver("old", 1.0)
    reader = waiting(lambda: inbox.get(SOON, after=2.0))
    in_hub(inbox.deliver, "still old", 1.5)
    in_hub(inbox.deliver, "new", 2.0)
    assert reader.get(timeout=SOON)[0] == "new"
    assert [inbox.get(SOON)[0] for _ in range(2)] == ["old", "still old"]
    inbox.deliver("early", 3.0)
    inbox.deliver("late", 4.0)
    assert inbox.get(SOON, after=3.5)[0] == "late"


def test_a_predicate_that_raises_fails_its_own_reader_and_loses_no_message():
    inbox = Inbox()
    broken = waiting(lambda: inbox.get(SOON, match=lambda word: word["id"]))
    sound = waiting(lambda: inbox.get(SOON))
    in_hub(inbox.deliver, "text", 1.0)
    with pytest.raises(TypeError):
        broken.get(timeout=SOON)
    assert sound.get(timeout=SOON)[0] == "text"


def test_a_full_inbox_does_not_cut_off_who_waits_for_one_message():
    said = []
    inbox = Inbox(3, on_full=lambda: said.append("full"), on_drained=lambda: said.append("on"))
    for number in range(3):
        inbox.deliver(number, 0.0)
    assert said == ["full"]
    reader = waiting(lambda: inbox.get(SOON, match=lambda number: number == 9))
    assert said == ["full", "on"]
    for number in (7, 8, 9):
        in_hub(inbox.deliver, number, 0.0)
    assert reader.get(timeout=SOON)[0] == 9
    in_hub(inbox.deliver, 10, 0.0)
    assert said == ["full", "on", "full"]


def test_a_reader_that_reads_again_from_within_the_delivery_gets_the_next_one():
    inbox, seen = Inbox(), []

    def reads_three():
        seen.extend(inbox.get(SOON)[0] for _ in range(3))

    reader = waiting(reads_three)
    in_hub(lambda: [inbox.deliver(number, 0.0) for number in range(3)])
    reader.join(SOON)
    assert seen == [0, 1, 2]


def test_who_asked_and_never_waited_takes_no_message_from_others():
    inbox = Inbox()
    asked = [inbox.expect(match=None, after=0.0) for _ in range(2)]
    inbox.deliver("one", 1.0)
    del asked
    inbox.deliver("two", 2.0)
    assert [inbox.get(0)[0], inbox.get(0)[0]] == ["one", "two"]


def test_what_was_read_is_not_given_back():
    inbox = Inbox()
    asked = inbox.expect(match=None, after=0.0)
    inbox.deliver("one", 1.0)
    assert asked.wait(SOON, 0.0, "message")[0] == "one"
    asked.cancel()
    del asked
    assert len(inbox) == 0


STEPS = st.lists(
    st.sampled_from(["deliver", "deliver in hub", "read", "kill", "wait"]), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_every_message_is_read_exactly_once_whoever_is_killed(steps):
    inbox, sent, got, readers = Inbox(), 0, [], []

    def read():
        got.append(inbox.get(SOON)[0])

    for step in steps:
        if step == "deliver":
            inbox.deliver(sent, 0.0)
            sent += 1
        elif step == "deliver in hub":
            in_hub(inbox.deliver, sent, 0.0)
            sent += 1
        elif step == "read":
            readers.append(gevent.spawn(read))
        elif step == "kill" and readers:
            readers.pop(0).kill(block=False)
        else:
            gevent.sleep(0)
    gevent.sleep(0)
    gevent.sleep(0)
    gevent.killall(readers, timeout=SOON)
    while len(inbox):
        got.append(inbox.get(0)[0])
    assert sorted(got) == list(range(sent))


def overheard(limit):
    """An inbox whose listener has seen everything, what it forgot, stopped and counted."""
    forgotten, stopped, counted = [], [], []
    inbox = Inbox(limit, on_full=lambda: stopped.append(True))
    inbox.configure(lambda *told: counted.append(told))
    inbox.on_passed = lambda message, at: forgotten.append(message)
    return inbox, forgotten, stopped, counted


def test_what_was_seen_and_nobody_reads_never_stops_the_source():
    inbox, forgotten, stopped, counted = overheard(3)
    for number in range(10):
        inbox.deliver(number, 0.0)
    assert (len(inbox), forgotten, stopped, counted) == (3, list(range(7)), [], [])


def test_a_request_reads_nothing_of_what_is_kept():
    inbox, forgotten, stopped, _ = overheard(3)
    with pytest.raises(CallTimeout):
        inbox.get(0.001, after=now())
    for number in range(5):
        inbox.deliver(number, 0.0)
    assert (len(inbox), forgotten, stopped) == (3, [0, 1], [])


def test_who_begins_to_read_later_is_told_what_was_dropped_and_holds_up_the_source_again():
    inbox, forgotten, stopped, counted = overheard(3)
    for number in range(5):
        inbox.deliver(number, 0.0)
    assert inbox.get()[0] == 2
    assert counted == [("dropped", None, 2)]
    inbox.deliver(5, 0.0)
    assert (forgotten, stopped) == ([0, 1], [True])
    assert [inbox.get()[0] for _ in range(3)] == [3, 4, 5]
    assert len(counted) == 1


class Failed(BaseException):
    """As pytest.fail raises it."""


@pytest.mark.parametrize("error", [Failed("no good"), gevent.Timeout(1)])
def test_a_match_that_raises_what_is_no_exception_fails_its_reader_and_not_the_source(error):
    def judge(_message):
        raise error

    def fail():
        with pytest.raises(type(error)):
            inbox.get(SOON, match=judge)
        return "failed"

    inbox = Inbox()
    broken, other = waiting(fail), waiting(inbox.get, SOON)
    in_hub(inbox.deliver, b"x", 1.0)
    assert broken.get(timeout=SOON) == "failed"
    assert other.get(timeout=SOON)[0] == b"x"
