"""Options of the TCP client, as a real server sees them."""

from __future__ import annotations

from locust import constant, task
from locust.exception import StopUser

import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
import trustme

from protouser import CallTimeout, ConfigurationError, ConnectionLost, attach
from protouser.testing import ScriptedServer, load
from protouser_socket import TcpClient, TcpUser, UdpUser, lines, until_close

from .conftest import SOON, holdings

CYCLES = 1_000


@pytest.fixture(scope="module")
def server():
    with ScriptedServer() as server:
        yield server


@contextmanager
def whole_server(*arguments):
    program = Path(__file__).with_name("whole_server.py")
    with subprocess.Popen(
        [sys.executable, "-I", program, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture(scope="module")
def whole():
    """The address of a server that answers when it has read all."""
    with whole_server() as port:
        yield f"tcp://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def whole_tls(tmp_path_factory):
    """The same over TLS, and what trusts it."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, files = trustme.CA(), (str(folder / "ca.pem"), str(folder / "server.pem"))
    authority.cert_pem.write_to_path(files[0])
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(files[1])
    with whole_server(files[1]) as port:
        yield f"tls://127.0.0.1:{port}", files[0]


@pytest.fixture
def client_of(environment, reports):
    clients = []

    def opened(url, **options):
        options.setdefault("timeout", SOON)
        clients.append(TcpClient(url, session=attach(environment), **options))
        return clients[-1].open()

    yield opened
    for client in clients:
        client.close()


def rows(reports):
    return [(report.name, report.exception) for report in reports]


def socket_of(client):
    return socket.socket(fileno=socket.dup(client.connection.socket.fileno()))


def test_options_reach_the_socket(server, client_of):
    client = client_of(server.url, tcp_nodelay=False, tcp_keepalive=True, local_address="127.0.0.1")
    assert client.request(b"hello") == b"hello"
    with socket_of(client) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockname()[0] == "127.0.0.1"


def test_options_are_attributes_of_the_user_too(server):
    class Tuned(TcpUser):
        host = server.url
        wait_time = constant(SOON)
        tcp_nodelay = False
        receive_buffer = 30_000
        seen = []

        @task
        def look(self):
            with socket_of(self.client) as sock:
                self.seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    load(Tuned, users=1, seconds=SOON, until=lambda: Tuned.seen)
    assert Tuned.seen == [0]


def test_a_connection_per_request_is_a_row_each_time(server, client_of, reports, until):
    accepted = server.accepted()
    client = client_of(server.url, connection="per_request")
    for number in (b"1", b"2", b"3"):
        assert client.request(number) == number
    assert rows(reports) == [("connect", None), ("request", None)] * 3
    assert server.accepted() == accepted + 3
    until(lambda: server.connections() == 0)  # closed when the reply is there, not with the next


def test_after_a_message_without_a_reply_such_a_connection_stays_for_receive(
    server, client_of, reports
):
    client = client_of(server.url, connection="per_request")
    client.send(b"tell 2")
    assert [client.receive(), client.receive()] == [b"0", b"1"]
    client.send(b"quiet")
    assert [name for name, _ in rows(reports)] == [
        "connect",
        "send",
        "receive",
        "receive",
        "connect",
        "send",
    ]


def test_two_requests_at_once_on_such_a_connection_are_refused(server, client_of):
    client = client_of(server.url, connection="per_request")
    first = gevent.spawn(client.request, b"sleep 0.5")
    gevent.sleep(0)
    with pytest.raises(ConfigurationError, match="another request is under way"):
        client.request(b"second")
    assert first.get(timeout=SOON) == b"sleep 0.5"
    assert client.request(b"third") == b"third"


def test_such_a_connection_may_tell_its_reply_by_an_id_too(server, client_of, reports):
    client = client_of(server.url, connection="per_request", correlate=lambda message: message)
    assert [client.request(number) for number in (b"1", b"2")] == [b"1", b"2"]
    assert rows(reports) == [("connect", None), ("request", None)] * 2


def test_such_a_connection_ends_with_its_request_by_id_also_when_that_fails(
    server, client_of, reports, until
):
    client = client_of(server.url, connection="per_request", correlate=lambda message: message)
    assert client.request(b"1") == b"1"
    assert client.connection.closed
    with pytest.raises(CallTimeout):
        client.request(b"quiet", timeout=0.02)
    assert client.connection.closed
    assert client.request(b"2") == b"2"
    assert [name for name, _ in rows(reports)] == ["connect", "request"] * 3
    until(lambda: server.connections() == 0)


def test_a_connection_per_iteration_ends_with_the_task(server, until):
    class Visitor(TcpUser):
        host = server.url
        connection = "per_iteration"
        wait_time = constant(0.01)
        visits = 0

        @task
        def visit(self):
            self.client.request(b"hello")
            self.client.request(b"again")
            self.visits += 1
            if self.visits == 2:
                raise ValueError("a task that fails has ended too")
            if self.visits == 3:
                until(lambda: server.connections() == 1)
                self.stop()

    accepted = server.accepted()
    results = load(Visitor, users=1, seconds=SOON)
    names = [report.name for report in results.reports]
    assert names == ["connect", "request", "request"] * 3
    assert server.accepted() == accepted + 3
    assert [str(error) for error in results.errors] == ["a task that fails has ended too"]


def test_the_server_reads_to_the_end_and_then_answers(whole, client_of, reports):
    client = client_of(whole, framing=until_close(), half_close=True)
    assert client.request(b"hello") == b"5 None hello"
    assert client.request(b"x" * 300_000) == b"300000 None " + b"x" * 300_000
    assert rows(reports) == [("connect", None), ("request", None)] * 2


def test_half_closing_by_hand(whole, client_of, reports):
    client = client_of(whole, framing=until_close())
    client.send(b"one ")
    client.send(b"two")
    client.shutdown_send()
    assert client.receive() == b"7 None one two"
    assert [name for name, _ in rows(reports)] == ["connect", "send", "send", "receive"]
    client.send(b"on the next connection")
    client.shutdown_send()
    assert client.receive() == b"22 None on the next connection"


def test_half_closing_what_is_closed_is_an_error(whole, client_of):
    client = client_of(whole, framing=until_close())
    client.close()
    with pytest.raises(ConnectionLost, match="was closed here"):
        client.shutdown_send()


@pytest.mark.parametrize("tls", [False, True])
def test_half_closing_a_second_time_changes_nothing(tls, whole, whole_tls, client_of, until):
    url, ca_file = whole_tls if tls else (whole, None)
    client = client_of(url, framing=until_close(), **({"ca_file": ca_file} if tls else {}))
    client.send(b"one")
    client.shutdown_send()
    client.shutdown_send()
    until(lambda: client.connection.closed)  # the server has answered and closed
    client.shutdown_send()
    assert client.receive().endswith(b" one")


def test_half_closing_tls(whole_tls, client_of):
    url, ca_file = whole_tls
    client = client_of(url, ca_file=ca_file, framing=until_close(), half_close=True)
    assert client.request(b"x" * 300_000) == b"300000 None " + b"x" * 300_000


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [("echo/1", "echo/1"), (("echo/1", "echo/2"), "echo/2"), (["other"], None), ((), None)],
)
def test_the_server_sees_the_application_protocols_that_are_offered(
    whole_tls, client_of, offered, agreed
):
    url, ca_file = whole_tls
    client = client_of(url, ca_file=ca_file, framing=until_close(), alpn=offered, half_close=True)
    assert client.alpn == agreed
    assert client.request(b"?") == f"1 {agreed} ?".encode()


def test_without_tls_there_is_no_application_protocol(server, client_of):
    assert client_of(server.url).alpn is None


def test_the_first_byte_of_a_reply_that_comes_in_pieces_is_a_series(whole, client_of, environment):
    client = client_of(whole, framing=until_close(), half_close=True)
    client.request(b"slowly, please")
    timed = attach(environment).own_figures().timed
    first = timed["tcp", "request", "first byte", "success"]
    last = timed["tcp", "request", "service", "success"]
    assert (first.count, last.count) == (1, 1)
    assert last.percentile(0.5) - first.percentile(0.5) > 0.5e9


def test_a_reply_in_one_piece_has_no_first_byte_of_its_own(server, client_of, environment):
    client_of(server.url).request(b"hello")
    assert {key[2] for key in attach(environment).own_figures().timed} == {"service", "tcp"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"connection": "never"}, 'it is "per_user", "per_iteration" or "per_request"'),
        ({"connection": "per_iteration"}, "is for a user with tasks"),
        ({"half_close": 1}, "half_close=1; it is True or False"),
        ({"half_close": True, "connection": "per_user"}, "so connection='per_user' cannot be"),
        ({"linger": 3}, "linger=3; it is 0"),
        ({"local_address": "here"}, "local_address='here'"),
        ({"tcp_nodely": True}, "did you mean 'tcp_nodelay'"),
    ],
)
def test_an_option_that_cannot_be_is_told_before_anything_is_sent(options, reason):
    with pytest.raises(ConfigurationError, match=reason):
        TcpClient("tcp://127.0.0.1:9", **options)


@pytest.mark.parametrize(
    ("base", "scheme", "option", "value"),
    [
        (TcpUser, "tcp", "connection", "never"),
        (TcpUser, "tcp", "linger", 3),
        (UdpUser, "udp", "broadcast", "yes"),
    ],
)
def test_an_option_of_a_class_that_cannot_be_starts_no_test(base, scheme, option, value):
    members = {"host": f"{scheme}://127.0.0.1:9", option: value, "tasks": [lambda user: None]}
    person = type("Person", (base,), members)
    with pytest.raises(ConfigurationError, match=f"^Person: {option}={value!r}; it is "):
        load(person, users=1, seconds=SOON)


def test_an_option_that_each_user_has_for_himself_is_left_to_him(server):
    class Person(TcpUser):
        host = server.url

        @property
        def linger(self):
            return 0

        @task
        def act(self):
            self.client.request(b"hello")
            raise StopUser

    results = load(Person, users=1, seconds=SOON)
    assert results["tcp", "request"].successes == 1


@pytest.mark.parametrize("alpn", [7, [7], "", ["h2", ""], "ä", "x" * 256])
def test_names_of_protocols_that_cannot_be(alpn):
    with pytest.raises(ConfigurationError, match="alpn="):
        TcpClient("tls://127.0.0.1:9", alpn=alpn)


@pytest.mark.parametrize("name", ["local_address", "tcp_nodelay", "tcp_keepalive", "linger"])
def test_what_a_unix_socket_does_not_have_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"a Unix socket has no {name}"):
        TcpClient("unix:///tmp/s", **{name: "127.0.0.1"})


def test_a_thousand_connections_leave_nothing(server, client_of, nothing_held, until):
    client = client_of(server.url, connection="per_request", linger=0, framing=lines())
    for _ in range(10):
        client.request(b"warm")
    before = holdings()
    memory = resident()
    for _ in range(CYCLES):
        client.request(b"hello")
    until(lambda: all(left <= had for left, had in zip(holdings(), before, strict=True)))
    assert resident() - memory < 2_000_000  # 2 kB a cycle would be the smallest thing we keep
    client.close()


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096
