"""Schemas: from reflection as servers really answer it, from descriptor sets and .proto files."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_reflection.v1alpha import reflection_pb2

from protouser import CallTimeout, ConfigurationError, MalformedMessage, now, open_client
from protouser_grpc._schema import Schema

SERVERS = Path(__file__).parent / "servers"
V1, V1ALPHA = (
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    for version in ("v1", "v1alpha")
)
MESSAGE, STRING = 11, 9


class Code:
    """As ``grpc.StatusCode``, of which the name counts."""

    def __init__(self, name):
        self.name = name


class Refused(Exception):
    """As the errors of grpc."""

    def __init__(self, name):
        super().__init__(name)
        self.name = name

    def code(self):
        return Code(self.name)


def file(name, *imports, message="", field_type="", service="", package="p"):
    """A file that defines little: a message with one field, and a service of two methods."""
    made = FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)
    if message:
        field = made.message_type.add(name=message).field.add(name="x", number=1, label=1)
        field.type = STRING
        if field_type:
            field.type, field.type_name = MESSAGE, field_type
    if service:
        methods = made.service.add(name=service).method
        methods.add(name="Get", input_type=".p.M", output_type=".p.M")
        methods.add(
            name="Talk",
            input_type=".p.M",
            output_type=".p.M",
            client_streaming=True,
            server_streaming=True,
        )
    return made


class FakeServer:
    """Answers as a reflection service with these files; ``whole`` sends all imports along."""

    def __init__(self, *files, paths=(V1,), whole=False, listed=None):
        self.files = {one.name: one for one in files}
        self.paths = paths
        self.whole = whole
        self.services = listed if listed is not None else sorted(self.places())
        self.asked = []

    def places(self):
        return {
            f"{one.package}.{service.name}": one.name
            for one in self.files.values()
            for service in one.service
        }

    def __call__(self, path, requests):
        self.asked.append((path, len(requests)))
        if path not in self.paths:
            raise Refused("UNIMPLEMENTED")
        asked = map(reflection_pb2.ServerReflectionRequest.FromString, requests)
        return [self.answer(one).SerializeToString() for one in asked]

    def answer(self, request):
        response = reflection_pb2.ServerReflectionResponse()
        if request.HasField("list_services"):
            for name in self.services:
                response.list_services_response.service.add(name=name)
            return response
        name = request.file_by_filename or self.places().get(request.file_containing_symbol)
        if name not in self.files:
            response.error_response.error_code = 5
            response.error_response.error_message = "Symbol not found."
            return response
        sent = response.file_descriptor_response.file_descriptor_proto
        sent.extend(one.SerializeToString() for one in self.chosen(name))
        return response

    def chosen(self, name):
        yield self.files[name]
        if self.whole:
            for imported in self.files[name].dependency:
                yield from self.chosen(imported)


COMMON = file("common.proto", message="M")


class TestReflection:
    def test_methods_have_paths_kinds_and_classes(self):
        server = FakeServer(COMMON, file("s.proto", "common.proto", service="S"))
        schema = Schema.fetch(server)
        get, talk = schema.method("p.S/Get"), schema.method("p.S/Talk")
        assert (get.path, get.kind) == ("/p.S/Get", "unary_unary")
        assert (talk.path, talk.kind) == ("/p.S/Talk", "stream_stream")
        assert get.request_class(x="1").x == "1"
        assert get.request_class is talk.response_class

    @pytest.mark.parametrize("name", ["/p.S/Get", "p.S/Get", "p.S.Get"])
    def test_a_method_has_three_spellings(self, name):
        server = FakeServer(COMMON, file("s.proto", "common.proto", service="S"))
        assert Schema.fetch(server).method(name).path == "/p.S/Get"

    def test_v1alpha_is_asked_when_there_is_no_v1(self):
        own = file("s.proto", message="M", service="S")
        server = FakeServer(own, paths=[V1ALPHA])
        assert Schema.fetch(server).method("p.S/Get")
        assert server.asked == [(V1, 1), (V1ALPHA, 1), (V1ALPHA, 1)]

    def test_round_trips_are_as_many_as_imports_are_deep(self):
        server = FakeServer(
            COMMON,
            file("middle.proto", "common.proto"),
            *[file(f"{n}.proto", "middle.proto", "common.proto", service=f"S{n}") for n in "abc"],
        )
        schema = Schema.fetch(server)
        assert schema.services == ("p.Sa", "p.Sb", "p.Sc")
        assert server.asked == [(V1, 1), (V1, 3), (V1, 2)]
        assert schema.method("p.Sc/Get")

    def test_files_that_come_again_are_taken_once(self):
        services = [file(f"{n}.proto", "common.proto", service=f"S{n}") for n in "ab"]
        server = FakeServer(COMMON, *services, whole=True)
        assert Schema.fetch(server).method("p.Sb/Get")
        assert server.asked == [(V1, 1), (V1, 2)]

    def test_public_imports_count(self):
        hub = file("hub.proto", "common.proto")
        hub.public_dependency.append(0)
        server = FakeServer(COMMON, hub, file("s.proto", "hub.proto", service="S"))
        assert Schema.fetch(server).method("p.S/Get").request_class(x="1")

    def test_a_service_without_a_package(self):
        own = file("s.proto", message="M", service="S", package="")
        for method in own.service[0].method:
            method.input_type = method.output_type = ".M"
        server = FakeServer(own)
        server.services, server.places = ["S"], lambda: {"S": "s.proto"}
        assert Schema.fetch(server).method("S.Get").path == "/S/Get"

    def test_files_of_protobuf_itself_may_be_missing(self):
        own = file("s.proto", "google/protobuf/timestamp.proto", service="S")
        field = own.message_type.add(name="M").field.add(name="x", number=1, label=1, type=MESSAGE)
        field.type_name = ".google.protobuf.Timestamp"
        request = Schema.fetch(FakeServer(own)).method("p.S/Get").request_class()
        request.x.FromJsonString("2026-01-02T03:04:05Z")
        assert request.x.seconds == 1767323045

    def test_an_import_that_is_missing_and_not_needed_does_no_harm(self):
        own = file("s.proto", "vendor/options.proto", message="M", service="S")
        assert Schema.fetch(FakeServer(own)).method("p.S/Get").request_class(x="1")

    def test_an_import_that_is_answered_with_another_file_is_missing(self):
        server = FakeServer(COMMON, file("s.proto", "common.proto", service="S"))
        server.chosen = lambda name: [server.files["s.proto"]]
        with pytest.raises(ConfigurationError, match="the server sent another file instead"):
            Schema.fetch(server, timeout=5).method("p.S/Get")

    def test_a_service_that_needs_what_is_missing_says_so_and_harms_no_other(self):
        bad = file("bad.proto", "gone.proto", message="Bad", field_type=".p.Gone", service="Bad")
        good = file("good.proto", message="M", service="Good")
        bad.dependency.append("good.proto")
        schema = Schema.fetch(FakeServer(bad, good), source="grpc://server")
        assert schema.method("p.Good/Get")
        with pytest.raises(ConfigurationError) as caught:
            schema.method("p.Bad/Get")
        text = str(caught.value)
        assert text.startswith("grpc://server does not describe service p.Bad: bad.proto is")
        assert text.endswith("; its import gone.proto: Symbol not found.")

    def test_a_service_that_the_server_cannot_describe_says_so(self):
        own = file("s.proto", message="M", service="S")
        schema = Schema.fetch(FakeServer(own, listed=["p.S", "p.Hidden"]))
        assert schema.method("p.S/Get")
        with pytest.raises(ConfigurationError, match=r"service p\.Hidden: Symbol not found\."):
            schema.method("p.Hidden/Get")

    def test_imports_in_a_circle_end(self):
        server = FakeServer(
            file("a.proto", "b.proto", message="M", service="S"), file("b.proto", "a.proto")
        )
        with pytest.raises(ConfigurationError, match="does not describe service"):
            Schema.fetch(server).method("p.S/Get")

    def test_two_schemas_may_define_one_name_differently(self):
        one = FakeServer(file("s.proto", message="M", service="S"))
        other = FakeServer(file("s.proto", message="M", field_type=".p.M", service="S"))
        first, second = (Schema.fetch(each).method("p.S/Get") for each in (one, other))
        assert first.request_class(x="text")
        assert second.request_class(x={"x": {}})


class TestReflectionThatFails:
    def test_off_says_what_else_can_be_done(self):
        with pytest.raises(ConfigurationError) as caught:
            Schema.fetch(FakeServer(paths=[]), source="grpc://server")
        assert str(caught.value) == (
            "grpc://server has no server reflection; switch it on there, or set stub_class to"
            " generated stubs, or schema to a descriptor set or a .proto file"
        )

    def test_other_errors_are_passed_on(self):
        def exchange(path, requests):
            raise Refused("UNAVAILABLE")

        with pytest.raises(Refused):
            Schema.fetch(exchange)

    def test_a_list_that_is_refused(self):
        def exchange(path, requests):
            response = reflection_pb2.ServerReflectionResponse()
            response.error_response.error_message = "not for you"
            return [response.SerializeToString()]

        with pytest.raises(ConfigurationError, match="refuses to list its services: not for you"):
            Schema.fetch(exchange)

    def test_too_few_answers(self):
        server = FakeServer(COMMON, file("s.proto", "common.proto", service="S"))
        with pytest.raises(MalformedMessage, match="ended before it had answered"):
            Schema.fetch(lambda path, requests: server(path, requests)[: len(server.asked) % 2])

    def test_garbage(self):
        with pytest.raises(MalformedMessage, match="did not answer as a reflection service"):
            Schema.fetch(lambda path, requests: [b"\xff\xff"])

    def test_imports_without_end(self):
        def exchange(path, requests):
            until = now() + 0.005
            while now() < until:
                pass
            return endless(path, requests)

        endless = FakeServer(file("0.proto", "1.proto", message="M", service="S"))
        endless.chosen = lambda name: [
            endless.files.setdefault(name, file(name, f"{int(name[:-6]) + 1}.proto"))
        ]
        endless.files = Endless(endless.files)
        with pytest.raises(CallTimeout, match="took longer than its timeout"):
            Schema.fetch(exchange, timeout=0.1)


class Endless(dict):
    def __contains__(self, name):
        return True


class TestNamesThatAreNotThere:
    @pytest.fixture
    def schema(self):
        return Schema.fetch(
            FakeServer(
                file("g.proto", message="M", service="Greeter"),
                listed=["p.Greeter", "grpc.reflection.v1.ServerReflection"],
            ),
            source="grpc://server",
        )

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("p.Greter/Get", "grpc://server has no service 'p.Greter'; did you mean 'p.Greeter'?"),
            ("greeter/Get", "grpc://server has no service 'greeter'; did you mean 'p.Greeter'?"),
            ("else.Where/Get", "grpc://server has no service 'else.Where'; it has p.Greeter"),
            ("p.Greeter/Gte", "service p.Greeter has no method 'Gte'; did you mean 'Get'?"),
            ("p.Greeter/get", "service p.Greeter has no method 'get'; did you mean 'Get'?"),
            ("p.Greeter/Qqq", "service p.Greeter has no method 'Qqq'; it has Get, Talk"),
            ("Get", "a method is written 'package.Service/Method', not 'Get'"),
            ("", "a method is written 'package.Service/Method', not ''"),
            ("p.Greeter/", "a method is written 'package.Service/Method', not 'p.Greeter/'"),
        ],
    )
    def test_the_nearest_or_all_are_named(self, schema, name, text):
        with pytest.raises(ConfigurationError) as caught:
            schema.method(name)
        assert str(caught.value) == text

    def test_a_long_list_is_cut(self):
        services = [file("m.proto", message="M")]
        services += [file(f"{n}.proto", "m.proto", service=f"Number{n}") for n in range(30)]
        with pytest.raises(ConfigurationError, match=r"Number0, .* and 20 more$"):
            Schema.fetch(FakeServer(*services)).method("x.Y/Z")


@pytest.fixture(scope="module")
def descriptors(tmp_path_factory):
    out = tmp_path_factory.mktemp("set") / "everything.binpb"
    options = [f"-I{SERVERS}", "--include_imports", f"--descriptor_set_out={out}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *options, "everything.proto"]
    subprocess.run(command, check=True, timeout=60)
    return out


class TestFiles:
    def test_a_descriptor_set(self, descriptors):
        for given in (descriptors, str(descriptors), descriptors.read_bytes()):
            schema = Schema.from_descriptor_set(given)
            assert schema.services == ("test.everything.Everything",)
            request = schema.method("test.everything.Everything/Order").request_class()
            request.extra.update({"x": 1})
            assert request.HasField("extra")

    def test_a_proto_file(self):
        schema = Schema.from_proto(SERVERS / "greeter.proto")
        kinds = {
            "SayHello": "unary_unary",
            "Count": "unary_stream",
            "Sum": "stream_unary",
            "Talk": "stream_stream",
        }
        found = {name: schema.method(f"test.Greeter/{name}").kind for name in kinds}
        assert found == kinds

    @pytest.fixture
    def importing(self, tmp_path):
        """A file deep in a tree of files, which names its import as seen from the tree's root."""
        folder = tmp_path / "company" / "api"
        folder.mkdir(parents=True)
        text = 'syntax = "proto3"; package company.api; import "company/common.proto";'
        (folder / "s.proto").write_text(text + "service S { rpc Get(Item) returns (Item); }")
        text = 'syntax = "proto3"; package company; message Item { string name = 1; }'
        (tmp_path / "company" / "common.proto").write_text(text)
        return folder / "s.proto"

    def test_imports_are_found_in_the_folders_above(self, importing, tmp_path, monkeypatch):
        assert Schema.load(importing).method("company.api.S/Get").request_class(name="x")
        monkeypatch.chdir(tmp_path)
        assert Schema.load("company/api/s.proto").services == ("company.api.S",)

    def test_imports_are_found_where_they_are_said_to_be(self, importing, tmp_path):
        for include in (tmp_path, str(tmp_path), [importing.parent, tmp_path]):
            assert Schema.from_proto(importing, include).services == ("company.api.S",)
        with pytest.raises(ConfigurationError, match=r"does not compile.*common\.proto"):
            Schema.from_proto(importing, importing.parent)

    def test_the_end_of_the_name_decides(self, descriptors):
        assert Schema.load(descriptors).services == ("test.everything.Everything",)
        assert Schema.load(SERVERS / "greeter.proto").services == ("test.Greeter",)

    def test_without_its_imports_a_set_is_refused(self):
        service = file("s.proto", "common.proto", service="S")
        content = FileDescriptorSet(file=[service]).SerializeToString()
        with pytest.raises(ConfigurationError) as caught:
            Schema.from_descriptor_set(content)
        assert str(caught.value) == (
            "the descriptor set: common.proto: it is imported and not there; was it made with"
            " --include_imports?"
        )

    @pytest.mark.parametrize("content", [b"", b"syntax = 'proto3';", b"\xff\xff"])
    def test_what_is_no_set_is_refused(self, tmp_path, content):
        path = tmp_path / "x.binpb"
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match="holds no descriptors; make one with protoc"):
            Schema.load(path)

    @pytest.mark.parametrize("name", ["gone.binpb", "gone.proto"])
    def test_a_file_that_is_not_there(self, tmp_path, name):
        with pytest.raises(ConfigurationError, match=rf"{name}: No such file or directory"):
            Schema.load(tmp_path / name)

    def test_a_proto_file_without_a_compiler_says_what_to_install(self):
        text = """
            import sys
            sys.modules["grpc_tools"] = None
            from protouser_grpc._schema import Schema
            Schema.from_proto(sys.argv[1])
        """
        command = [sys.executable, "-c", textwrap.dedent(text), str(SERVERS / "greeter.proto")]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert "needs a compiler; try: pip install grpcio-tools" in run.stderr


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_the_schema_of_a_real_server(make_greeter, version):
    server = make_greeter(f"--{version}-only")
    with open_client(server.url, timeout=20) as client:
        assert client.call("test.Greeter/SayHello", {"name": "you"}).message == "Hello, you"
        with pytest.raises(ConfigurationError, match="did you mean 'SayHello'"):
            client.call("test.Greeter/SayHelo")


def test_a_real_server_without_reflection(make_greeter):
    server = make_greeter("--no-reflection")
    schema = str(SERVERS / "greeter.proto")
    with open_client(server.url, timeout=20, schema=schema) as client:
        assert client.call("test.Greeter/SayHello", {"name": "you"}).message == "Hello, you"
    with (
        open_client(server.url, timeout=20) as client,
        pytest.raises(ConfigurationError, match="has no server reflection; switch it on there"),
    ):
        client.call("test.Greeter/SayHello")
