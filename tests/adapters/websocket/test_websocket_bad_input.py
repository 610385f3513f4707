"""The WebSocket client and a server in trouble: one failure that says where and why."""

from __future__ import annotations

import _socket
import socket
import ssl
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from protouser import (
    CallTimeout,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    MalformedMessage,
    ProtouserError,
    now,
)
from protouser._attach import check_hosts_of
from protouser_websocket import WebSocketClient, WebSocketUser

from .conftest import SOON, unmasked, upgrade, upgrade_answer

SHORT = 0.2
CLOSED = b"\x88\x02\x03\xe8"


def failures(reports):
    return [(r.name, str(r.exception)) for r in reports if r.exception is not None]


def wait_for_the_end(sock):
    while sock.recv(65536):
        pass


def refusal(connected, reports, url, **options):
    """The one failure that connecting to ``url`` is."""
    with pytest.raises(ConnectFailed):
        connected(url, **options)
    ((name, text),) = failures(reports)
    assert name == "connect"
    return text


# -- options and URLs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"headers": "X: y"}, "headers is a dict, or a list"),
        ({"headers": 5}, "headers is a dict, or a list"),
        ({"headers": ["nothing"]}, "not 'Name: value'"),
        ({"headers": [5]}, "neither 'Name: value' nor a pair"),
        ({"headers": {"Bad name": "x"}}, "'Bad name' is not the name of a header"),
        ({"headers": {"X": 5}}, "headers: X is text, not int"),
        ({"headers": {"X": "a\r\nEvil: b"}}, "headers: X has a control character in it"),
        ({"headers": {"X": "€"}}, "headers: X has characters beyond Latin-1"),
        ({"headers": {"Upgrade": "x"}}, "Upgrade cannot be set; it is the handshake's own"),
        ({"headers": {"Sec-WebSocket-Protocol": "x"}}, r"use subprotocols=\[...\]"),
        ({"subprotocols": "chat"}, r"subprotocols='chat'; it is a list, such as \['chat'\]"),
        ({"subprotocols": ["a b"]}, "'a b' is not the name of a subprotocol"),
        ({"subprotocols": ["a", "a"]}, "each may stand there once only"),
        ({"cookies": "a=1"}, "cookies is a dict"),
        ({"cookies": {"a": "1;2"}}, "a value has a ';' in it"),
        ({"origin": "a\nb"}, "origin has a control character"),
        ({"max_size": 0}, "max_size=0 is no number of bytes above 0"),
        ({"max_size": "1"}, "max_size='1' is no number"),
        ({"header": {}}, "no option 'header'; did you mean 'headers'"),
        ({"connect_timeout": "1"}, "connect_timeout='1' is no number of seconds"),
        ({"timeout": 0}, "timeout=0 is no number of seconds"),
    ],
)
def test_an_option_that_cannot_be_used(options, text):
    with pytest.raises(ConfigurationError, match=text):
        WebSocketClient("ws://localhost", **options)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://localhost", "speaks ws, wss, not 'http'"),
        ("ws://", "names no host"),
        ("ws:///path", "names no host"),
        ("ws://localhost/a#b", "'#', which a WebSocket URL cannot have; write %23"),
        ("ws://localhost:99999/", "must be between 1 and 65535"),
    ],
)
def test_a_url_that_cannot_be_used(url, text):
    with pytest.raises(ConfigurationError, match=text):
        WebSocketUser.client_class.parse_url(url)


@pytest.mark.parametrize(
    ("url", "port", "host"),
    [
        ("ws://a", 80, "a"),
        ("wss://a", 443, "a"),
        ("ws://a:443", 443, "a:443"),
        ("a:81/x", 81, "a:81"),
        ("ws://[::1]:81/x", 81, "[::1]:81"),
        ("ws://bücher.example", 80, "xn--bcher-kva.example"),
    ],
)
def test_ports_and_the_host_header(url, port, host):
    client = WebSocketClient(url)
    assert client.url.port == port
    assert f"\r\nHost: {host}\r\n".encode() in client._opening.request("key")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ws://a", "/"),
        ("ws://a?x=1", "/?x=1"),
        ("ws://a/ö b?c=%20d&c=e f", "/%C3%B6%20b?c=%20d&c=e%20f"),
    ],
)
def test_path_and_query_are_sent_as_they_stand(url, target):
    assert (
        WebSocketClient(url)
        ._opening.request("key")
        .startswith(f"GET {target} HTTP/1.1\r\n".encode())
    )


def test_a_parsed_url_is_as_good():
    url = WebSocketClient.parse_url("ws://a/b c?d=e f")
    assert WebSocketClient(url)._opening.target == "/b%20c?d=e%20f"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"headers": {"no token": "x"}}, "headers: 'no token' is not the name of a header"),
        ({"max_size": 0}, "max_size=0 is no number of bytes above 0"),
    ],
)
def test_mistakes_of_a_class_are_found_before_the_load(body, text):
    Chat = type("Chat", (WebSocketUser,), {"host": "ws://localhost", **body})
    with pytest.raises(ConfigurationError) as caught:
        check_hosts_of([Chat], None)
    assert str(caught.value) == f"Chat: {text}"


def test_an_option_that_each_user_has_his_own_of_is_not_looked_at_before_the_load():
    body = {"host": "ws://localhost", "origin": property(lambda self: f"http://{id(self)}")}
    check_hosts_of([type("Chat", (WebSocketUser,), body)], None)


# -- connecting ------------------------------------------------------------------------------------


def test_a_refused_port(connected, reports):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{bound.getsockname()[1]}/"
        expected = f"cannot connect to {url}: connection refused; is the server running there?"
        assert refusal(connected, reports, url) == expected


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (403, "answered 403 Forbidden instead of switching to WebSocket: 'token missing'"),
        (
            401,
            "answered 401 Unauthorized instead of switching to WebSocket: 'token missing';"
            " check the credentials",
        ),
        (
            404,
            "answered 404 Not Found instead of switching to WebSocket: 'token missing';"
            " is the path right?",
        ),
        (
            302,
            "answered 302 Found instead of switching to WebSocket"
            " (location: http://elsewhere/): 'token missing'",
        ),
        (
            503,
            "answered 503 Service Unavailable instead of switching to WebSocket: 'token missing'",
        ),
    ],
)
def test_a_refused_upgrade(status, text, server, connected, reports):
    url = server.url(f"/refuse?status={status}&key=hidden")
    shown = server.url("/refuse")
    assert refusal(connected, reports, url) == f"{shown} {text}"


def test_waiting_for_the_body_of_a_refusal_is_not_counted(peer, connected, reports):
    def serve(sock):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\nno")
        wait_for_the_end(sock)

    began = now()
    refusal(connected, reports, peer(serve, upgrade=False).url)
    assert reports[0].response_time < (now() - began) * 1000 - 400  # it is waited for 500 ms


ANSWERS = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello": "answered 200 OK instead of switching to"
    " WebSocket: 'hello'; it is a web server; is the path right?",
    b"HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n4\r\noops\r\n0\r\n\r\n": "answered 500"
    " instead of switching to WebSocket: 'oops'",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n": "answered 101 but does not switch to WebSocket",
    b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Accept: wrong\r\n\r\n": "answered with a wrong Sec-WebSocket-Accept; it is no"
    " WebSocket server, or something between answers in its place",
    b"HTTP/1.1 101 x\r\nno header\r\n\r\n": "answered the upgrade with a malformed header",
    b"SSH-2.0-OpenSSH_9\r\n": "answered something else than HTTP: 'SSH-2.0-OpenSSH_9'",
    b"HTTP/2 nothing\r\n\r\n": "answered something else than HTTP: 'HTTP/2 nothing'",
    b"HTTP/1.1 abc\r\n\r\n": "answered something else than HTTP: 'HTTP/1.1 abc'",
    b"\x15\x03\x03\x00\x02\x02\x46": "answers in TLS; write wss:// for ws://",
    b"": "closed the connection instead of answering the WebSocket upgrade",
    b"HTTP/1.1 101": "closed the connection instead of answering the WebSocket upgrade",
    b"HTTP/1.1 101 x\r\n" + b"X: y\r\n" * 12_000: "answered the upgrade with endless headers",
}


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_a_server_that_answers_something_else(answer, peer, connected, reports):
    def serve(sock):
        sock.recv(65536)
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_WR)
        wait_for_the_end(sock)

    url = peer(serve, upgrade=False).url
    assert refusal(connected, reports, url) == f"{url} {ANSWERS[answer]}"


@pytest.mark.parametrize(
    ("extra", "offered", "text"),
    [
        (b"", ["chat", "superchat"], "agreed to no subprotocol; offered: chat, superchat"),
        (
            b"Sec-WebSocket-Protocol: x\r\n",
            ["chat"],
            "chose the subprotocol 'x', which was not offered; offered: chat",
        ),
        (
            b"Sec-WebSocket-Protocol: x\r\n",
            None,
            "chose the subprotocol 'x', which was not offered; offered: none",
        ),
        (
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
            None,
            "switched extensions on that nobody asked for: 'permessage-deflate'",
        ),
    ],
)
def test_what_was_not_agreed_upon(extra, offered, text, peer, connected, reports):
    def serve(sock):
        upgrade(sock, extra)
        wait_for_the_end(sock)

    url = peer(serve, upgrade=False).url
    assert refusal(connected, reports, url, subprotocols=offered) == f"{url} {text}"


def test_a_subprotocol_that_a_real_server_does_not_know(server, connected, reports):
    text = refusal(connected, reports, server.url(), subprotocols=["soap"])
    assert text == f"{server.url()} agreed to no subprotocol; offered: soap"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 101 Switching Protocols\r\nX: "])
def test_a_server_that_never_answers_the_upgrade(said, peer, connected, reports):
    def serve(sock):
        sock.sendall(said)
        wait_for_the_end(sock)

    url = peer(serve, upgrade=False).url
    began = now()
    text = refusal(connected, reports, url, connect_timeout=1)  # time to connect in
    assert text == f"{url} did not answer the WebSocket upgrade within 1 s"
    assert 1 <= now() - began < SOON


def test_a_reset_during_the_upgrade(peer, connected, reports):
    def serve(sock):
        sock.recv(65536)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    url = peer(serve, upgrade=False).url
    text = refusal(connected, reports, url)
    assert text == (
        f"no WebSocket upgrade: the connection to {url} was lost: connection reset by peer"
    )


def test_plain_on_a_tls_port(server, connected, reports):
    url = server.url("/", "ws", "wss")
    text = refusal(connected, reports, url)
    assert text in (
        f"{url} answers in TLS; write wss:// for ws://",
        f"{url} closed the connection instead of answering the WebSocket upgrade",
    )


def test_tls_on_a_plain_port(server, connected, reports):
    url = server.url("/", "wss", "ws")
    text = refusal(connected, reports, url)
    assert text.startswith(f"no TLS handshake with {url}: ")


def test_a_certificate_that_nobody_trusts(server, connected, reports):
    url = server.url("/", "wss")
    text = refusal(connected, reports, url)
    assert text.startswith(f"cannot trust {url}: ")
    assert text.endswith("pass ca_file=... or verify=False")
    assert connected(url, verify=False).request("hello") == "hello"


def test_a_certificate_of_another_name(server, connected, reports, certificates):
    url, ca_file = server.url("/", "wss"), str(certificates / "ca.pem")
    text = refusal(connected, reports, url, ca_file=ca_file, server_name="elsewhere.example")
    assert text.endswith("pass server_name=... or verify=False")


def test_a_missing_file(server, connected):
    with pytest.raises(ConfigurationError, match=r"ca_file 'missing\.pem' cannot be used"):
        connected(server.url("/", "wss"), ca_file="missing.pem")


# -- frames that must not be -----------------------------------------------------------------------

FRAMES = {
    b"\xc1\x00": (1002, "a frame has reserved bits set, and no extension was agreed"),
    b"\x83\x00": (1002, "a frame has the unknown opcode 3"),
    b"\x81\x81\0\0\0\0a": (1002, "a frame is masked, which a server must not do"),
    b"\x09\x00": (1002, "a control frame is fragmented"),
    b"\x08\x00": (1002, "a control frame is fragmented"),
    b"\x8a\x7e\x00\x7e": (1002, "a control frame is longer than 125 bytes"),
    b"\x80\x00": (1002, "a continuation frame continues nothing"),
    b"\x01\x01a\x81\x01b": (1002, "a message begins in the middle of another"),
    b"\x88\x01\x03": (1002, "a close frame is malformed"),
    b"\x88\x02\x03\xed": (1002, "a close frame is malformed"),
    b"\x88\x03\x03\xe8\xff": (1007, "the reason of a close frame is not UTF-8"),
    b"\x81\x01\xff": (1007, "a text message is not UTF-8"),
    b"\x81\x03\xed\xa0\x80": (1007, "a text message is not UTF-8"),
    b"\x01\x02\xce\xba\x00\x01\xe1\x80\x01a": (1007, "a text message is not UTF-8"),
    b"\x82\x7e\x00\x65": (1009, "a message is longer than max_size=100"),
    b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff": (1009, "a message is longer than max_size=100"),
    b"\x02\x64" + bytes(100) + b"\x80\x01": (1009, "a message is longer than max_size=100"),
}


@pytest.mark.parametrize("frame", FRAMES, ids=range(len(FRAMES)))
def test_a_server_that_breaks_the_protocol(frame, peer, connected, reports, until):
    def serve(sock):
        head = sock.recv(6)
        sock.sendall(frame)
        server.received += head
        server.read_all(sock)
        ended.append(True)

    ended = []
    server = peer(serve)
    client = connected(server.url, max_size=100)
    with pytest.raises(MalformedMessage):
        client.request("")
    code, reason = FRAMES[frame]
    text = f"{server.url} broke the WebSocket protocol: {reason}"
    assert failures(reports) == [("request", text)]
    client.close()
    until(lambda: ended)
    opcode, payload = unmasked(server.received)[1]
    assert (opcode, int.from_bytes(payload[:2], "big"), payload[2:].decode()) == (8, code, reason)


def test_what_came_before_the_fault_can_be_read(peer, connected):
    def serve(sock):
        sock.sendall(b"\x81\x02ok\x83\x00")
        wait_for_the_end(sock)

    client = connected(peer(serve).url)
    assert client.receive() == "ok"
    with pytest.raises(MalformedMessage):
        client.receive()


def test_frames_that_come_byte_by_byte(peer, connected, until):
    def serve(sock):
        for byte in b"\x01\x03ab\xc3\x89\x01p\x80\x7e\x00\x02\xa9c" + CLOSED:
            sock.sendall(bytes([byte]))
            gevent.sleep(0.001)
        server.read_all(sock)

    server = peer(serve)
    client = connected(server.url)
    assert client.receive() == "abéc"
    client.close()
    until(lambda: server.ended)
    assert unmasked(server.received) == [(10, b"p"), (8, b"\x03\xe8")]


def test_messages_in_the_segment_of_the_upgrade(peer, connected):
    def serve(sock):
        upgrade(sock, then=b"\x81\x02ok\x82\x01")
        sock.sendall(b"x")
        wait_for_the_end(sock)

    client = connected(peer(serve, upgrade=False).url)
    assert [client.receive(), client.receive()] == ["ok", b"x"]


def test_many_messages_behind_an_upgrade_that_comes_in_two_pieces(peer, connected, until):
    def serve(sock):
        answer = upgrade_answer(sock)
        sock.sendall(answer[:20])
        gevent.sleep(0.05)
        sock.sendall(answer[20:] + (b"\x82\x7e\xff\xff" + b"x" * 65_535) * 3)
        wait_for_the_end(sock)

    client = connected(peer(serve, upgrade=False).url)
    assert [len(client.receive()) for _ in range(3)] == [65_535] * 3


# -- the end of a connection -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("code=1000", "1000 normal closure"),
        ("code=1011&reason=out+of+memory", "1011 internal error (out of memory)"),
        ("code=4001&reason=kicked", "4001 (kicked)"),
    ],
)
def test_a_server_that_closes_instead_of_answering(query, text, server, connected, reports):
    client = connected(server.url(f"/close?{query}"))
    with pytest.raises(ConnectionLost):
        client.request("hello")
    expected = f"{server.url('/close')} closed the connection: {text}"
    assert failures(reports) == [("request", expected)]


def test_an_end_that_is_no_orderly_one_is_told_to_one_call(server, connected, reports, until):
    client = connected(server.url("/bye?code=1011"))
    assert [client.receive(), client.receive()] == ["one", "two"]
    until(lambda: server.stats()["open"] == 0)  # the client has answered the close frame
    for _ in range(2):
        try:
            client.send("quiet")
        except ConnectionLost:
            continue
    expected = f"{server.url('/bye')} closed the connection: 1011 internal error"
    assert failures(reports) == [("send", expected)]
    assert [report.name for report in reports] == [
        "connect",
        "receive",
        "receive",
        "send",
        "connect",
        "send",
    ]


@pytest.mark.parametrize("verb", ["request", "receive", "ping"])
def test_an_end_without_a_word(verb, peer, connected, reports):
    def serve(sock):
        waits.wait(SOON)
        sock.shutdown(socket.SHUT_WR)
        wait_for_the_end(sock)

    waits = Event()
    server = peer(serve)
    client = connected(server.url)
    gevent.spawn(waits.set)  # it runs when the call has begun to wait
    with pytest.raises(ConnectionLost):
        getattr(client, verb)(*(["hello"] if verb == "request" else []))
    expected = f"{server.url} closed the connection without a close frame"
    assert failures(reports) == [(verb, expected)]


def test_a_reset(peer, connected, reports):
    def serve(sock):
        sock.recv(100)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    server = peer(serve)
    with pytest.raises(ConnectionLost):
        connected(server.url).request("hello")
    expected = f"the connection to {server.url} was lost: connection reset by peer"
    assert failures(reports) == [("request", expected)]


def test_a_send_that_meets_the_end_first_is_the_one_that_is_told(peer, connected, reports):
    def serve(sock):
        if not ended:
            raw = _socket.socket(fileno=sock.detach())
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raw.close()  # at once, where gevent's socket closes a moment later
            ended.append(True)
            reset.set()
        else:
            wait_for_the_end(sock)

    ended, reset = [], Event()
    server = peer(serve)
    client = connected(server.url)
    reset.wait(SOON)
    with pytest.raises(ConnectionLost):
        client.send("hello")
    client.send("hello")
    assert [report.name for report in reports] == ["connect", "send", "connect", "send"]
    assert len(failures(reports)) == 1


def test_a_late_reply_is_never_given_to_the_next_request(server, connected, reports):
    client = connected(server.url())
    with pytest.raises(CallTimeout):
        client.request("sleep 2", timeout=SHORT)
    assert client.request("next") == "next"
    assert client.request("third") == "third"
    assert failures(reports) == [("request", "no reply within 0.2 s")]
    assert [report.name for report in reports] == [
        "connect",
        "request",
        "connect",
        "request",
        "request",
    ]


def test_a_ping_without_a_pong_is_a_failure_of_its_own(peer, connected, reports):
    def serve(sock):
        sock.recv(100)
        sock.sendall(b"\x8a\x05other")  # nobody asked for it
        wait_for_the_end(sock)

    client = connected(peer(serve).url)
    with pytest.raises(CallTimeout):
        client.ping(timeout=SHORT)
    client.send("still connected")
    assert failures(reports) == [("ping", "no pong within 0.2 s")]
    assert [report.name for report in reports] == ["connect", "ping", "send"]


def test_a_server_that_does_not_read(peer, connected, reports, until):
    def serve(_sock):
        held.append(_sock)
        stop.wait(SOON)

    held, stop = [], Event()
    server = peer(serve)
    client = connected(server.url)
    began = now()
    with pytest.raises(CallTimeout):
        client.send(bytes(30_000_000), timeout=SHORT)
    assert now() - began < SOON
    assert failures(reports) == [("send", f"not sent within 0.2 s: {server.url} does not read")]
    client.send("on a new connection")
    assert [report.name for report in reports] == ["connect", "send", "connect", "send"]
    stop.set()


def test_a_server_that_writes_before_it_reads(peer, connected):
    """Pings are among it: if a pong had to be sent before reading on, nobody would get on."""

    def serve(sock):
        for _ in range(100):
            sock.sendall(b"\x89\x01p" + b"\x82\x7f" + (100_000).to_bytes(8, "big") + bytes(100_000))
        server.read_all(sock)

    server = peer(serve)
    client = connected(server.url)
    sending = gevent.spawn(client.send, bytes(20_000_000))
    assert [len(client.receive()) for _ in range(100)] == [100_000] * 100
    sending.get(timeout=SOON)


def test_users_who_never_read_make_the_server_wait(peer, connected, caplog):
    def serve(sock):
        while True:
            sock.sendall(frames)
            sent.append(len(frames))

    frames, sent = (b"\x81\x7e\x03\xe8" + b"x" * 1000) * 100, []
    client = connected(peer(serve).url)
    turns, seen = 0, -1
    while turns < 50:  # of the hub, in all of which the server waits
        turns, seen = (turns + 1 if len(sent) == seen else 0), len(sent)
        gevent.sleep(0.01)
    assert 10_000_000 < sum(sent) < 60_000_000
    assert "messages wait for receive()" in caplog.text
    assert [client.receive() for _ in range(9000)] == ["x" * 1000] * 9000


# -- closing ---------------------------------------------------------------------------------------


def test_a_server_that_never_answers_the_close_frame_costs_little(peer, connected, caplog, until):
    server = peer(lambda sock: server.read_all(sock))
    clients = [connected(server.url, close_timeout=SOON) for _ in range(20)]
    began = now()
    gevent.joinall([gevent.spawn(client.close) for client in clients], timeout=SOON)
    assert now() - began < 8, "seconds, for all of them; 10 if they waited one after the other"
    assert "closing took longer" not in caplog.text
    until(lambda: server.ended == 20)
    assert unmasked(server.received) == [(8, b"\x03\xe8")] * 20


def test_a_server_that_never_stops_talking_does_not_keep_a_client_from_closing(
    peer, connected, caplog
):
    def serve(sock):
        while True:
            sock.sendall(b"\x81\x01x" * 1000)
            gevent.sleep(0)  # it is a neighbour of the client here, as no server is

    client = connected(peer(serve).url, close_timeout=SOON / 2)
    client.receive()
    client.close()
    assert "closing took longer" not in caplog.text


def test_closing_a_connection_that_cannot_be_written_to(peer, connected, caplog):
    stop = Event()
    url = peer(lambda sock: stop.wait(SOON)).url
    client = connected(url, close_timeout=SOON / 2)
    sending = gevent.spawn(client.send, bytes(30_000_000))
    gevent.sleep(0.1)
    client.close()
    assert "closing took longer" not in caplog.text
    with pytest.raises(ProtouserError):
        sending.get(timeout=SOON)
    stop.set()


def test_a_close_frame_is_answered_in_kind(peer, connected, until):
    def serve(sock):
        sock.sendall(b"\x88\x06\x0f\xa1kick")
        server.read_all(sock)

    server = peer(serve)
    client = connected(server.url)
    with pytest.raises(ConnectionLost, match=r"closed the connection: 4001 \(kick\)"):
        client.receive()
    client.close()
    until(lambda: server.ended)
    assert unmasked(server.received) == [(8, b"\x0f\xa1")]


def test_a_request_that_is_given_up_says_goodbye(peer, connected, until):
    server = peer(lambda sock: server.read_all(sock))
    client = connected(server.url)
    with pytest.raises(CallTimeout):
        client.request("hello", timeout=SHORT)
    until(lambda: server.ended)
    assert unmasked(server.received) == [(1, b"hello"), (8, b"\x03\xe9")]


def test_a_server_that_pushes_without_end_stops_nobody_else(peer, connected, server):
    def serve(sock):
        while True:
            sock.sendall(b"\x81\x7e\x03\xe8" + b"x" * 1000)

    flooded, other = connected(peer(serve).url), connected(server.url())
    answered = 0

    def read():
        while answered < 20:
            flooded.receive()

    reading = gevent.spawn(read)
    while answered < 20:
        other.request("hello")
        answered += 1
    reading.get(timeout=SOON)


def test_a_failed_upgrade_leaves_no_descriptor(server, connected, reports, until):
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(10):
        with pytest.raises(ConnectFailed):
            connected(server.url("/refuse?status=403"))
    until(lambda: len(list(descriptors.iterdir())) <= before)
    assert len({str(report.exception) for report in reports}) == 1


def test_one_context_for_all_connections(server, connected, certificates, monkeypatch):
    made = []
    real = ssl.SSLContext.load_verify_locations

    def counted(self, *args, **kwargs):
        made.append(self)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    copy = certificates / "copy.pem"
    copy.write_bytes((certificates / "ca.pem").read_bytes())
    for _ in range(3):
        connected(server.url("/", "wss"), ca_file=str(copy))
    assert len(made) == 1
