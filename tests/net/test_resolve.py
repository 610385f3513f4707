"""Looking up names: once for all who wait, kept for a while, in turns, anew after trouble."""

from __future__ import annotations

import socket

import gevent
import pytest

from protouser import ConnectFailed
from protouser.net import Deadline, SocketOptions, _resolve, dial

SOON = 30.0


@pytest.fixture
def resolver(monkeypatch):
    """A resolver that counts, and answers what it is told, when it is told."""
    monkeypatch.setattr(_resolve, "_kept", {})
    resolver = Resolver()
    monkeypatch.setattr(_resolve, "_look_up", resolver.look_up)
    return resolver


class Resolver:
    def __init__(self):
        self.asked = 0
        self.addresses = [(socket.AF_INET, ("192.0.2.1", 7))]
        self.gate = gevent.event.Event()
        self.gate.set()

    def look_up(self, host, port):
        self.asked += 1
        self.gate.wait()
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(family, socket.SOCK_STREAM, 6, "", place) for family, place in self.addresses]


def found(ttl=60.0, timeout=SOON, marks=None):
    mark = (lambda phase: None) if marks is None else marks.append
    return _resolve.resolve("name.test", 7, Deadline(timeout), "peer", ttl=ttl, mark=mark)


def test_an_answer_is_kept_and_the_phase_is_marked_only_for_a_real_look_up(resolver):
    marks = []
    assert found(marks=marks) == found(marks=marks) == resolver.addresses
    assert resolver.asked == 1
    assert marks == ["dns"]


def test_an_answer_that_is_too_old_is_asked_for_again(resolver, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(_resolve, "now", lambda: clock[0])
    found(ttl=60)
    clock[0] += 59.9
    found(ttl=60)
    assert resolver.asked == 1
    clock[0] += 0.2
    found(ttl=60)
    assert resolver.asked == 2


def test_with_a_ttl_of_0_each_connection_asks(resolver):
    assert [found(ttl=0) for _ in range(3)] == [resolver.addresses] * 3
    assert resolver.asked == 3
    found(ttl=60)
    assert resolver.asked == 4


def test_all_who_wait_share_one_look_up_and_each_has_waited(resolver):
    resolver.gate.clear()
    marks = []
    users = [gevent.spawn(found, marks=marks) for _ in range(50)]
    gevent.sleep(0)
    resolver.gate.set()
    gevent.joinall(users, timeout=SOON, raise_error=True)
    assert [user.value for user in users] == [resolver.addresses] * 50
    assert resolver.asked == 1
    assert marks == ["dns"] * 50


def test_one_who_is_killed_or_out_of_time_leaves_the_look_up_to_the_others(resolver):
    resolver.gate.clear()
    first = gevent.spawn(found)
    hurried = gevent.spawn(found, timeout=0.02)
    patient = gevent.spawn(found)
    hurried.join(SOON)
    assert "the name was not resolved in time" in str(hurried.exception)
    first.kill()
    resolver.gate.set()
    assert patient.get(timeout=SOON) == resolver.addresses
    assert resolver.asked == 1


def test_a_look_up_that_nobody_waits_for_is_given_up(resolver):
    resolver.gate.clear()
    with pytest.raises(ConnectFailed, match=r"within 0\.02 s: the name was not resolved in time"):
        found(timeout=0.02)
    gevent.sleep(0)
    assert _resolve._under_way == {}
    resolver.gate.set()
    assert found() == resolver.addresses
    assert resolver.asked == 2


def test_what_was_not_found_is_not_kept(resolver):
    addresses, resolver.addresses = resolver.addresses, []
    for _ in range(2):
        with pytest.raises(ConnectFailed, match=r"^cannot resolve host 'name\.test': name or serv"):
            found()
    resolver.addresses = addresses
    assert found() == addresses
    assert resolver.asked == 3


def test_users_take_turns_among_the_addresses_of_a_family(resolver):
    six = [(socket.AF_INET6, (address, 7, 0, 0)) for address in ("2001:db8::1", "2001:db8::2")]
    four = [(socket.AF_INET, (f"192.0.2.{number}", 7)) for number in (1, 2, 3)]
    resolver.addresses = [*six, *four]
    answers = [found() for _ in range(6)]
    assert [answer[0] for answer in answers] == [*six, *six, *six]
    assert [answer[2] for answer in answers] == [*four, *four]
    assert all(sorted(answer) == sorted(resolver.addresses) for answer in answers)


def test_an_address_that_cannot_be_reached_is_asked_for_anew(resolver):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        resolver.addresses = [(socket.AF_INET, deaf.getsockname())]
        with pytest.raises(ConnectFailed, match="refused"):
            dial("name.test", 7, timeout=SOON)
    with socket.create_server(("127.0.0.1", 0)) as server:
        resolver.addresses = [(socket.AF_INET, server.getsockname())]
        for _ in range(2):
            dial("name.test", 7, timeout=SOON, options=SocketOptions(dns_ttl=9)).close()
    assert resolver.asked == 2


def test_a_numeric_address_is_nobodys_to_resolve(resolver):
    marks = []
    assert _resolve.resolve("127.0.0.1", 7, Deadline(SOON), "peer", ttl=60, mark=marks.append) == [
        (socket.AF_INET, ("127.0.0.1", 7))
    ]
    assert (resolver.asked, marks) == (0, [])
