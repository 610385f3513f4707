"""Messages among others: ``match=`` on every call, and ``expect`` for what something else triggers.

The server answers ``push S`` at once with itself, and with ``pushed`` after S seconds.
"""

from __future__ import annotations

import pytest

from protouser import CallTimeout, ConnectionLost, attach, contains, equals, now
from protouser.testing import ScriptedServer
from protouser_socket import TcpClient

SOON = 30.0  # only a hang takes longer
LATER = 0.2


@pytest.fixture(scope="module")
def server():
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def client(server, environment, reports):
    client = TcpClient(server.url, session=attach(environment), timeout=SOON)
    with client.open():
        del reports[:]
        yield client


def rows(reports):
    return [(report.name, report.exception) for report in reports]


def test_a_request_takes_the_reply_that_matches_and_leaves_the_rest(client):
    assert client.request(f"push {LATER}", match=equals("pushed")) == b"pushed"
    assert client.receive() == f"push {LATER}".encode()


def test_receive_takes_what_matches(client):
    client.send(f"push {LATER}")
    assert client.receive(match=equals("pushed")) == b"pushed"
    assert client.receive(match=contains("push ")) == f"push {LATER}".encode()


def test_a_block_ends_when_the_expected_message_has_come(client, reports):
    with client.expect(equals("pushed"), name="news") as news:
        assert client.request(f"push {LATER}") == f"push {LATER}".encode()
        assert news.message is None
    assert news.message == b"pushed"
    assert rows(reports) == [("request", None), ("news", None)]
    assert reports[1].response_time >= LATER * 1000
    assert (reports[1].response, reports[1].response_length) == (b"pushed", 6)


def test_what_came_while_nobody_waited_is_timed_by_its_arrival(client, reports):
    began = now()
    news = client.expect(equals("pushed"))
    client.request(f"push {LATER}")
    client.request(f"sleep {2 * LATER}", match=contains("sleep"))  # what is answered after it
    asked = now()
    assert news.wait() == b"pushed"
    assert news.wait() == b"pushed"
    assert rows(reports) == [("request", None), ("request", None), ("expect", None)]
    assert LATER <= reports[2].response_time / 1000 < asked - began


def test_what_came_before_is_not_what_is_expected(client, until):
    client.send("push 0")
    assert client.receive(match=contains("push "))
    until(lambda: len(client.connection.inbox) == 1)
    with pytest.raises(CallTimeout, match=r"no message within 0\.05 s"):
        client.expect(equals("pushed"), timeout=0.05).wait()
    assert client.receive() == b"pushed"


def test_a_check_decides_about_the_message(client, reports):
    with client.expect(equals("pushed"), check=equals("other")) as news:
        client.send("push 0")
    assert news.message == b"pushed"
    assert [str(error) for name, error in rows(reports) if name == "expect"] == [
        "expected equals('other'), got b'pushed'"
    ]


def raise_while_expecting(client):
    with client.expect(equals("pushed")):
        client.request("push 0", match=contains("push "))
        raise ZeroDivisionError


def test_a_block_that_raises_expects_nothing_any_more(client, environment, reports):
    with pytest.raises(ZeroDivisionError):
        raise_while_expecting(client)
    assert client.receive() == b"pushed"
    assert attach(environment).own_figures().outcome("tcp", "expect", "cancelled") == 1


def test_the_end_of_the_connection_wakes_who_expects(client, reports):
    news = client.expect(equals("pushed"))
    client.close()
    with pytest.raises(ConnectionLost):
        news.wait()
    assert [name for name, error in rows(reports) if error is not None] == ["expect"]
    assert client.request("hello") == b"hello"
