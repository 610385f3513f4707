"""A HubSocket against the other end of a socket pair: bytes, order, back-pressure, the end."""

from __future__ import annotations

import _socket
import os
import socket
import struct

import gevent.monkey
import pytest
from gevent import get_hub
from gevent.event import Event

from protouser._call import now
from protouser._errors import CallTimeout, ConfigurationError, ConnectionLost, MalformedMessage
from protouser._inbox import Inbox
from protouser.net import HubSocket

SOON = 30.0
BIG = 4 * 1024 * 1024


class Recorder:
    """A receiver that keeps what it is given."""

    def __init__(self):
        self.data = b""
        self.times = []
        self.ends = []
        self.changed = Event()
        self.action = None

    def on_data(self, data, at):
        self.data += data
        self.times.append(at)
        self.changed.set()
        if self.action is not None:
            self.action(data)

    def on_close(self, error):
        self.ends.append(error)
        self.changed.set()

    def wait_for(self, condition):
        deadline = now() + SOON
        while not condition():
            self.changed.clear()
            assert now() < deadline
            self.changed.wait(0.1)


def tcp_pair():
    """Two connected raw sockets over TCP, for what a socket pair cannot do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        ours.connect(server.getsockname())
        accepted, _ = server.accept()
        theirs = _socket.socket(fileno=accepted.detach())
    ours.setblocking(False)
    theirs.setblocking(True)
    return ours, theirs


@pytest.fixture
def pair():
    ours, theirs = _socket.socketpair()
    ours.setblocking(False)
    recorder = Recorder()
    hub_socket = HubSocket(ours, recorder, peer="tcp://peer:1")
    yield hub_socket, theirs, recorder
    hub_socket.close()
    theirs.close()
    assert len(recorder.ends) == 1, "on_close is called exactly once"


def read_all(theirs, size):
    """Read in the hub's turns, so that the sender can go on in between."""
    theirs.setblocking(False)
    data = b""
    while len(data) < size:
        gevent.socket.wait_read(theirs.fileno(), SOON)
        data += theirs.recv(BIG)
    return data


def test_bytes_arrive_by_callback_with_the_time_of_their_arrival(pair):
    _, theirs, recorder = pair
    before = now()
    theirs.send(b"hello")
    recorder.wait_for(lambda: recorder.data == b"hello")
    assert before <= recorder.times[0] <= now()


def test_the_end_of_sending_comes_behind_what_was_sent_and_reading_goes_on(pair):
    hub_socket, theirs, recorder = pair
    sending = gevent.spawn(hub_socket.send, b"a" * BIG, SOON)
    gevent.sleep(0)
    hub_socket.shutdown_send()
    with pytest.raises(ConfigurationError, match=r"nothing can be sent after shutdown_send\(\)"):
        hub_socket.send(b"too late")
    assert len(read_all(theirs, BIG)) == BIG
    sending.get(timeout=SOON)
    gevent.socket.wait_read(theirs.fileno(), SOON)
    assert theirs.recv(1) == b""
    with pytest.raises(ConfigurationError, match="nothing can be sent"):
        hub_socket.send(b"too late")
    theirs.send(b"reply")
    recorder.wait_for(lambda: recorder.data == b"reply")


def test_the_end_of_sending_on_a_closed_connection_is_its_end(pair):
    hub_socket, _, _ = pair
    hub_socket.close()
    with pytest.raises(ConnectionLost, match="closed here"):
        hub_socket.shutdown_send()


def test_the_end_of_sending_on_a_connection_that_was_reset_says_so():
    ours, theirs = tcp_pair()
    recorder = Recorder()
    hub_socket = HubSocket(ours, recorder, peer="tcp://peer:1")
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    wait_without_the_hub = gevent.monkey.get_original("select", "select")
    assert wait_without_the_hub([ours], [], [], SOON)[0]
    with pytest.raises(ConnectionLost, match="lost: connection reset by peer"):
        hub_socket.shutdown_send()
    assert len(recorder.ends) == 1


def test_a_small_message_leaves_at_once_without_waiting(pair):
    hub_socket, theirs, _ = pair
    hub_socket.send(b"hello")
    theirs.setblocking(False)
    assert theirs.recv(100) == b"hello"


def test_a_message_that_the_kernel_does_not_take_at_once_arrives_whole(pair):
    hub_socket, theirs, _ = pair
    message = os.urandom(BIG)
    sender = gevent.spawn(hub_socket.send, message, SOON)
    assert read_all(theirs, BIG) == message
    sender.get(timeout=SOON)


def test_messages_of_several_greenlets_arrive_whole_and_in_order(pair):
    hub_socket, theirs, _ = pair
    messages = [bytes([number]) * (BIG // 8) for number in range(8)]
    senders = [gevent.spawn(hub_socket.send, message, SOON) for message in messages]
    assert read_all(theirs, BIG) == b"".join(messages)
    gevent.joinall(senders, raise_error=True)


def test_whoever_sent_first_waits_first_although_he_had_to_wait_for_the_kernel(pair):
    hub_socket, theirs, recorder = pair
    inbox, replies = Inbox(), {}
    recorder.action = lambda data: [inbox.deliver(bytes([byte]), 0.0) for byte in data]

    def ask(name, size):
        hub_socket.send(name * size, SOON)
        replies[name] = inbox.get(SOON)[0]

    slow = gevent.spawn(ask, b"a", BIG)
    gevent.sleep(0)
    quick = gevent.spawn(ask, b"b", 1)
    read_all(theirs, BIG + 1)
    theirs.send(b"ab")
    gevent.joinall([slow, quick], timeout=SOON, raise_error=True)
    assert replies == {b"a": b"a", b"b": b"b"}


def test_a_message_does_not_overtake_one_that_waits_although_the_kernel_has_room_again(pair):
    hub_socket, theirs, _ = pair
    first = gevent.spawn(hub_socket.send, b"a" * BIG, SOON)
    gevent.sleep(0)
    theirs.setblocking(False)
    already = theirs.recv(BIG)
    assert len(already) < BIG
    second = gevent.spawn(hub_socket.send, b"b", SOON)
    rest = read_all(theirs, BIG + 1 - len(already))
    assert already + rest == b"a" * BIG + b"b"
    gevent.joinall([first, second], raise_error=True)


def test_a_sender_goes_on_before_anybody_else_can_send_once_its_message_has_left(pair):
    hub_socket, theirs, _ = pair
    order, spawned = [], []
    try_send = hub_socket._try_send

    def send_and_note(name, data):
        hub_socket.send(data, SOON)
        order.append(name)

    def competitor_appears_with_the_last_byte(data):
        sent = try_send(data)
        if sent == len(data) and not spawned:
            spawned.append(gevent.spawn(send_and_note, "second", b"b"))
        return sent

    hub_socket._try_send = competitor_appears_with_the_last_byte
    first = gevent.spawn(send_and_note, "first", b"a" * BIG)
    read_all(theirs, BIG)
    gevent.joinall([first, *spawned], timeout=SOON)
    assert order == ["first", "second"]


def test_a_peer_that_does_not_read_is_a_timeout_and_ends_the_connection(pair):
    hub_socket, _, recorder = pair
    began = now()
    with pytest.raises(CallTimeout, match=r"^not sent within 0\.05 s: tcp://peer:1 does not read$"):
        hub_socket.send(b"x" * BIG, 0.05)
    assert now() - began >= 0.05
    assert hub_socket.closed
    assert "sent in part only" in str(recorder.ends[0])


def test_a_message_of_which_nothing_has_left_is_taken_back_and_the_connection_lives(pair):
    hub_socket, theirs, _ = pair
    first = gevent.spawn(hub_socket.send, b"a" * BIG, SOON)
    gevent.sleep(0)
    with pytest.raises(CallTimeout):
        hub_socket.send(b"b", 0.02)
    hub_socket_last = gevent.spawn(hub_socket.send, b"c", SOON)
    assert read_all(theirs, BIG + 1) == b"a" * BIG + b"c"
    gevent.joinall([first, hub_socket_last], raise_error=True)


def test_a_greenlet_killed_in_the_middle_of_a_message_ends_the_connection(pair):
    hub_socket, _, _ = pair
    sender = gevent.spawn(hub_socket.send, b"x" * BIG)
    gevent.sleep(0)
    sender.kill()
    assert hub_socket.closed


def test_closing_wakes_every_sender(pair):
    hub_socket, _, _ = pair
    senders = [gevent.spawn(hub_socket.send, b"x" * BIG) for _ in range(3)]
    gevent.sleep(0)
    hub_socket.close()
    gevent.joinall(senders, timeout=SOON)
    assert [type(sender.exception) for sender in senders] == [ConnectionLost] * 3


def test_the_peer_closing_in_order_is_told_as_none(pair):
    hub_socket, theirs, recorder = pair
    theirs.close()
    recorder.wait_for(lambda: recorder.ends)
    assert recorder.ends == [None]
    assert hub_socket.closed
    with pytest.raises(ConnectionLost, match="tcp://peer:1 closed the connection"):
        hub_socket.send(b"x")


def test_bytes_that_came_before_the_end_are_delivered_before_it(pair):
    _, theirs, recorder = pair
    theirs.send(b"last")
    theirs.close()
    recorder.wait_for(lambda: recorder.ends)
    assert recorder.data == b"last"


def test_a_reset_is_told_as_a_lost_connection():
    ours, theirs = tcp_pair()
    recorder = Recorder()
    hub_socket = HubSocket(ours, recorder, peer="tcp://peer:1")
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    recorder.wait_for(lambda: recorder.ends)
    (error,) = recorder.ends
    assert isinstance(error, ConnectionLost)
    assert str(error) == "the connection to tcp://peer:1 was lost: connection reset by peer"
    assert hub_socket.fileno() == -1


def test_sending_into_a_connection_that_is_gone_is_a_lost_connection(pair):
    hub_socket, theirs, recorder = pair
    hub_socket.pause()
    theirs.close()
    with pytest.raises(ConnectionLost, match="lost: broken pipe"):
        hub_socket.send(b"x")
    assert isinstance(recorder.ends[0], ConnectionLost)


def test_what_the_receiver_raises_closes_the_connection_and_comes_back_to_it(pair, capfd):
    hub_socket, theirs, recorder = pair

    def refuse(data):
        raise MalformedMessage("nonsense")

    recorder.action = refuse
    theirs.send(b"?")
    recorder.wait_for(lambda: recorder.ends)
    assert str(recorder.ends[0]) == "nonsense"
    assert hub_socket.closed
    assert capfd.readouterr().err == "", "nothing may escape into the hub"


def test_a_receiver_that_fails_at_the_end_is_logged_and_the_senders_wake(caplog):
    ours, theirs = _socket.socketpair()
    ours.setblocking(False)
    recorder = Recorder()
    recorder.on_close = lambda error: 1 / 0
    hub_socket = HubSocket(ours, recorder, peer="tcp://peer:1")
    sender = gevent.spawn(hub_socket.send, b"x" * BIG)
    gevent.sleep(0)
    theirs.close()
    sender.join(SOON)
    assert isinstance(sender.exception, ConnectionLost)
    assert "the receiver of tcp://peer:1 failed" in caplog.text


def test_a_paused_socket_does_not_read_and_a_resumed_one_misses_nothing(pair):
    hub_socket, theirs, recorder = pair
    hub_socket.pause()
    hub_socket.pause()
    theirs.send(b"held")
    gevent.sleep(0.02)
    assert recorder.data == b""
    hub_socket.resume()
    hub_socket.resume()
    recorder.wait_for(lambda: recorder.data == b"held")


def test_a_full_inbox_holds_the_peer_back_and_loses_nothing():
    ours, theirs = _socket.socketpair()
    ours.setblocking(False)
    recorder = Recorder()
    hub_socket = HubSocket(ours, recorder, peer="tcp://peer:1")
    inbox = Inbox(2, hub_socket.pause, hub_socket.resume)
    recorder.action = lambda data: inbox.deliver(data, 0.0)

    def feed():
        theirs.setblocking(False)
        for _ in range(64):
            rest = memoryview(b"y" * 65536)
            while rest:
                gevent.socket.wait_write(theirs.fileno(), SOON)
                rest = rest[theirs.send(rest) :]

    feeder = gevent.spawn(feed)
    gevent.sleep(0.05)
    assert not feeder.ready(), "the peer must feel that nobody reads"
    received = 0
    while received < 64 * 65536:
        received += len(inbox.get(SOON)[0])
    feeder.get(timeout=SOON)
    hub_socket.close()
    theirs.close()


def test_user_code_that_runs_out_of_the_callback_may_close_the_socket(pair):
    hub_socket, theirs, recorder = pair
    inbox, outcome = Inbox(), []
    recorder.action = lambda data: [inbox.deliver(data, 0.0), inbox.deliver(data, 0.0)]

    def reads_and_closes():
        outcome.append(inbox.get(SOON)[0])
        hub_socket.close()

    reader = gevent.spawn(reads_and_closes)
    gevent.sleep(0)
    theirs.send(b"x")
    reader.get(timeout=SOON)
    assert outcome == [b"x"]
    assert theirs.recv(10) == b"", "the descriptor is closed at once"


def test_user_code_that_runs_out_of_the_callback_may_send(pair):
    hub_socket, theirs, recorder = pair
    recorder.action = lambda data: hub_socket.send(data.upper())
    theirs.send(b"x")
    assert read_all(theirs, 1) == b"X"


def test_a_send_in_the_hub_never_waits_and_still_arrives(pair):
    hub_socket, theirs, recorder = pair
    recorder.action = lambda data: hub_socket.send(b"z" * BIG)
    theirs.send(b"x")
    recorder.wait_for(lambda: recorder.data)
    assert read_all(theirs, BIG) == b"z" * BIG


def test_closing_twice_and_using_it_afterwards_is_harmless(pair):
    hub_socket, _, recorder = pair
    hub_socket.close()
    hub_socket.close()
    hub_socket.pause()
    hub_socket.resume()
    assert "was closed here" in str(recorder.ends[0])
    with pytest.raises(ConnectionLost):
        hub_socket.send(b"x")


def test_a_descriptor_number_that_is_used_again_at_once_reaches_its_new_owner():
    numbers, recorders = set(), []
    for round_ in range(20):
        ours, theirs = _socket.socketpair()
        ours.setblocking(False)
        numbers.add(ours.fileno())
        recorder = Recorder()
        hub_socket = HubSocket(ours, recorder, peer="tcp://peer:1")
        message = b"%d" % round_
        theirs.send(message)
        recorder.wait_for(lambda: recorder.data == message)  # noqa: B023
        hub_socket.close()
        theirs.close()
        recorders.append(recorder)
    assert len(numbers) < 20, "the kernel is expected to give out a number again"


def test_no_descriptor_and_no_watcher_is_left_behind():

    def open_now():
        return len(os.listdir("/proc/self/fd")), get_hub().loop.activecnt

    descriptors, watchers = open_now()
    for _ in range(50):
        ours, theirs = _socket.socketpair()
        ours.setblocking(False)
        hub_socket = HubSocket(ours, Recorder(), peer="tcp://peer:1")
        gevent.spawn(hub_socket.send, b"x" * BIG)
        gevent.sleep(0)
        hub_socket.close()
        theirs.close()
    deadline = now() + SOON
    while open_now()[0] > descriptors or open_now()[1] > watchers:
        assert now() < deadline, (open_now(), descriptors, watchers)
        gevent.sleep(0.005)
