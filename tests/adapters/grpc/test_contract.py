"""The contract of adapters, kept by the gRPC client on both engines, plain and over TLS."""

import pytest

from protouser.testing import AdapterContract


class GrpcContract(AdapterContract):
    scheme = "grpc"
    engine = "aio"

    @pytest.fixture
    def url(self, greeter):
        self.options = {"engine": self.engine}
        return greeter.url

    def succeed(self, client, **options):
        return client.call("test.Greeter/SayHello", {"name": "you"}, **options)

    def fail(self, client):
        return client.call("test.Greeter/SayHello", {"name": "fail"})

    def dawdle(self, client, seconds, **options):
        return client.call("test.Greeter/SayHello", {"name": f"sleep {seconds}"}, **options)


class TestGrpcAio(GrpcContract):
    pass


class TestGrpcGevent(GrpcContract):
    engine = "gevent"


class TestGrpcShared(GrpcContract):
    @pytest.fixture
    def url(self, greeter):
        self.options = {"engine": "aio", "connection": "shared"}
        return greeter.url


class TestGrpcTls(GrpcContract):
    scheme = "grpcs"

    @pytest.fixture
    def url(self, greeter_tls, certificates):
        self.options = {"engine": "aio", "ca_file": str(certificates / "ca.pem")}
        return greeter_tls.url
