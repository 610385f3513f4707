"""What users get wrong, and servers in trouble: one failure that says where, why and what to do."""

from __future__ import annotations

from locust import task

import _socket
import socket

import gevent
import grpc
import pytest

from protouser import ConfigurationError, ConnectFailed, now
from protouser.testing import ScriptedServer, load
from protouser_grpc import GrpcClient, GrpcError, GrpcUser
from protouser_grpc._outcome import Status

HELLO = "test.Greeter/SayHello"
SOON = 30.0  # only a hang takes longer
AIO = pytest.mark.parametrize("engine", ["aio"])  # what no engine has to do with


def failures(reports):
    return [(r.name, str(r.exception)) for r in reports if r.exception is not None]


@pytest.mark.parametrize(
    ("url", "options", "reason"),
    [
        ("grpc://localhost", {}, "names no port; write grpc://localhost:50051"),
        ("grpc://localhost:1/greeter", {}, "names a path, which gRPC has not"),
        ("grpc://ann:secret@localhost:1", {}, r"takes no user from a URL; pass metadata="),
        ("http://localhost:1", {}, "GrpcClient speaks grpc, grpcs, not 'http'"),
        ("grpc://h:1", {"engin": "aio"}, "has no option 'engin'; did you mean 'engine'"),
        ("grpc://h:1", {"engine": "uv"}, "engine='uv'; there are 'auto', 'aio', 'gevent'"),
        ("grpc://h:1", {"connection": "pool"}, "connection='pool'; there are 'per_user', 'shared'"),
        ("grpc://h:1", {"ca_file": "ca.pem"}, r"ca_file=... needs TLS; write grpcs:// for"),
        ("grpcs://h:1", {"verify": False}, r"cannot leave a certificate unchecked; pass ca_file"),
        ("grpcs://h:1", {"ca_file": "/no/such"}, r"ca_file '/no/such' cannot be used: No such"),
        ("grpcs://h:1", {"ca_file": __file__}, "cannot be used: it is not in PEM format"),
        ("grpc://h:1", {"metadata": {"a key": "1"}}, "a key is made of letters, digits"),
        ("grpc://h:1", {"metadata": {"a": 1}}, "'a' must be str, not int"),
        ("grpc://h:1", {"metadata": {"a-bin": "1"}}, "'a-bin' must be bytes, not str"),
        ("grpc://h:1", {"metadata": {"a": "\u00e9"}}, "carries only as bytes; name it a-bin"),
        ("grpc://h:1", {"metadata": "token"}, r"a dict or a sequence of \(key, value\) pairs"),
        ("grpc://h:1", {"metadata": {"grpc-timeout": "1"}}, "begin with grpc- are gRPC's own"),
        ("grpc://h:1", {"channel_options": 7}, "no dict of grpc's channel arguments"),
        ("grpc://h:1", {"schema": "/no/such.set"}, "/no/such.set: No such file or directory"),
    ],
)
def test_a_client_that_cannot_be_is_refused_when_it_is_made(url, options, reason):
    with pytest.raises(ConfigurationError, match=reason) as caught:
        GrpcClient(url, **options)
    assert "secret" not in str(caught.value)


def test_a_refused_port(client_of, reports):
    bound = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.bind(("127.0.0.1", 0))
    url = f"grpc://127.0.0.1:{bound.getsockname()[1]}"
    began = now()
    with pytest.raises(ConnectFailed):
        client_of(url, timeout=3 * SOON)
    assert now() - began < SOON, "it is refused at once"
    bound.close()
    expected = f"cannot connect to {url}: connection refused; is the server running there?"
    assert failures(reports) == [("connect", expected)]


def test_a_name_that_does_not_resolve(client_of, reports):
    with pytest.raises(ConnectFailed, match="its host name cannot be resolved"):
        client_of("grpc://nosuch.invalid:7000")
    assert [name for name, _ in failures(reports)] == ["connect"]


@pytest.mark.parametrize("scheme", ["grpc", "grpcs"])
def test_a_silent_server(client_of, reports, scheme):
    with ScriptedServer("silent") as server:
        url = server.url.replace("tcp", scheme)
        with pytest.raises(ConnectFailed):
            client_of(url, timeout=0.3)
        assert failures(reports) == [("connect", f"no connection to {url} within 0.3 s")]


def test_a_server_of_something_else(client_of, reports):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                accepted, _ = listener.accept()
                accepted.recv(1000)
                accepted.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                accepted.close()

        serving = gevent.spawn(serve)
        url = f"grpc://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ConnectFailed):
            client_of(url)
        serving.kill()
    expected = f"cannot connect to {url}: what answers there is no gRPC server"
    assert failures(reports) == [("connect", expected)]


def test_a_plain_server_at_a_tls_url(client_of, reports, greeter):
    url = greeter.url.replace("grpc", "grpcs")
    with pytest.raises(ConnectFailed):
        client_of(url)
    expected = f"no TLS handshake with {url}: does the server speak TLS there?"
    assert failures(reports) == [("connect", expected)]


def test_a_tls_server_at_a_plain_url(client_of, reports, greeter_tls):
    url = greeter_tls.url.replace("grpcs", "grpc")
    with pytest.raises(ConnectFailed):
        client_of(url)
    ((name, reason),) = failures(reports)
    assert name == "connect"
    assert reason.endswith("does it speak TLS there? write grpcs://")


def test_a_stub_without_a_class(greeter):
    class Stubless(GrpcUser):
        host = greeter.url

        @task
        def hello(self):
            try:
                self.stub.SayHello(None)
            finally:
                self.stop()

    (error,) = load(Stubless, users=1, seconds=SOON).errors
    assert isinstance(error, ConfigurationError)
    assert "Stubless has no stub_class; set it to the generated class, as stub_class" in str(error)


def test_a_stub_class_that_is_none(greeter):
    class Wrong(GrpcUser):
        host = greeter.url
        stub_class = "GreeterStub"

        @task
        def hello(self):
            try:
                self.stub.SayHello(None)
            finally:
                self.stop()

    (error,) = load(Wrong, users=1, seconds=SOON).errors
    assert "Wrong.stub_class is no generated stub class, but 'GreeterStub'" in str(error)


@AIO
@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("test.Greter/SayHello", "has no service 'test.Greter'; did you mean 'test.Greeter'"),
        ("test.Greeter/SayHelo", "has no method 'SayHelo'; did you mean 'SayHello'"),
        ("SayHello", "is written 'package.Service/Method', not 'SayHello'"),
    ],
)
def test_an_unknown_method_is_a_failed_call_that_names_the_nearest(
    client_of, reports, greeter, method, reason
):
    client = client_of(greeter.url)
    with pytest.raises(ConfigurationError, match=reason):
        client.call(method, {})
    with pytest.raises(ConfigurationError, match=reason):
        client.stream(method)
    assert [name for name, _ in failures(reports)] == [method] * 2


@AIO
def test_a_wrong_field_is_named(client_of, reports, greeter):
    client = client_of(greeter.url)
    with pytest.raises(ConfigurationError, match=r"nmae.*name"):
        client.call(HELLO, {"nmae": "you"})
    with pytest.raises(ConfigurationError, match="name"):
        client.call(HELLO, {"name": 7})
    assert [name for name, _ in failures(reports)] == [HELLO] * 2


@AIO
def test_a_stub_is_given_something_else_than_its_message(client_of, greeter, stubs, reports):
    stub = stubs[1].GreeterStub(client_of(greeter.url).channel)
    with pytest.raises(ConfigurationError, match="SayHello cannot send a dict"):
        stub.SayHello({"name": "you"})
    assert len(failures(reports)) == 1


@AIO
def test_a_server_without_reflection(client_of, reports, make_greeter):
    client = client_of(make_greeter("--no-reflection").url)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="has no server reflection; switch it on"):
            client.call(HELLO, {"name": "you"})
    assert [name for name, _ in failures(reports)] == [HELLO] * 2
    assert len(set(failures(reports))) == 1


def test_a_method_that_the_server_has_not(client_of, greeter, reports):
    channel = client_of(greeter.url).channel
    with pytest.raises(GrpcError, match=r"^UNIMPLEMENTED"):
        channel.unary_unary("/test.Greeter/SayGoodbye")(b"")
    assert failures(reports)[0][0] == "test.Greeter/SayGoodbye"


@AIO
def test_an_answer_of_another_type(client_of, greeter, stubs):
    channel = client_of(greeter.url).channel
    wrong = channel.unary_unary(
        "/" + HELLO, stubs[0].HelloRequest.SerializeToString, stubs[0].CountRequest.FromString
    )
    reply = wrong(stubs[0].HelloRequest(name="you"))
    assert not reply.to, "protobuf skips what it does not know"

    def refuse(data):
        raise ValueError("no such message")

    refused = channel.unary_unary("/" + HELLO, stubs[0].HelloRequest.SerializeToString, refuse)
    with pytest.raises(ValueError, match=r"an answer of .* cannot be read: no such message"):
        refused(stubs[0].HelloRequest(name="you"))


@AIO
@pytest.mark.parametrize(
    "options", [{"credentials": object()}, {"compression": 2}, {"timeout": 0}, {"timeout": -1}]
)
def test_options_of_a_call_that_are_of_no_use(client_of, greeter, options):
    stub = client_of(greeter.url).channel.unary_unary("/" + HELLO)
    with pytest.raises(ConfigurationError):
        stub(b"", **options)


def test_a_server_that_dies_and_comes_back(client_of, reports, make_greeter):
    first = make_greeter()
    client = client_of(first.url)
    assert client.call(HELLO, {"name": "you"}).message == "Hello, you"
    waiting = gevent.spawn(client.call, HELLO, {"name": "sleep 90"}, timeout=90)
    first.wait_for(lambda stats: stats["active"] == 1)
    first.kill()
    waiting.join(SOON)
    assert isinstance(waiting.exception, GrpcError)
    assert str(waiting.exception).startswith("UNAVAILABLE: ")
    for _ in range(2):
        with pytest.raises(ConnectFailed, match="connection refused"):
            client.call(HELLO, {"name": "you"})
    make_greeter("--port", str(first.port))
    assert client.call(HELLO, {"name": "you"}).message == "Hello, you"
    names = [report.name for report in reports]
    assert names == [HELLO, HELLO, "connect", "connect", "connect", HELLO]


def test_waiting_for_a_server_instead_of_failing(client_of, make_greeter, engine):
    first = make_greeter()
    client = client_of(first.url, wait_for_ready=True)
    client.call(HELLO, {"name": "you"})
    first.kill()
    with gevent.Timeout(SOON):  # until the end of the connection is known
        while client._lease.channel.state() is grpc.ChannelConnectivity.READY:
            gevent.sleep(0.005)
    waiting = gevent.spawn(client.call, HELLO, {"name": "you"})
    waiting.join(0.2)
    assert not waiting.ready()
    if engine == "gevent":
        waiting.kill()  # grpc hangs where a process is started while its sync API waits
    else:
        make_greeter("--port", str(first.port))
        assert waiting.get(timeout=SOON).message == "Hello, you"


@pytest.mark.parametrize(
    "details",
    [
        "Socket closed",
        "Transport closed (Socket closed)",
        "Transport closed (Delayed close due to in-progress write (Socket closed))",
        "ipv4:127.0.0.1:7000: Socket closed",
    ],
)
def test_a_lost_connection_is_one_row_however_grpc_words_it(details):
    assert Status(grpc.StatusCode.UNAVAILABLE, details).text() == "UNAVAILABLE: Socket closed"
