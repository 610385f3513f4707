"""The gRPC user: a client, and a generated stub over it."""

from __future__ import annotations

from typing import Any, ClassVar

from protouser import ConfigurationError, ProtocolClient, ProtocolUser
from protouser_grpc._client import GrpcClient

__all__ = ["GrpcUser"]


class GrpcUser(ProtocolUser):
    """A user of a gRPC server.

    Attributes:
        stub_class: the generated class, as ``greeter_pb2_grpc.GreeterStub``.
        metadata: sent with every call; a dict or pairs.
        connection: "per_user", or "shared" by all users of a process.
        engine: "auto", "aio" or "gevent".
        client: the ``GrpcClient`` of ``host``.
    """

    abstract = True
    client_class: ClassVar[type[ProtocolClient] | None] = GrpcClient
    stub_class: ClassVar[Any] = None
    metadata: Any = None
    connection: str = "per_user"
    engine: str = "auto"
    client: GrpcClient
    _stub: tuple[GrpcClient, Any] | None = None

    @property
    def stub(self) -> Any:
        """The generated stub; its methods are called as always, and each call is measured.

        Raises:
            ConfigurationError: there is no ``stub_class``, or it is none.
        """
        client = self.client
        if self._stub is None or self._stub[0] is not client:
            self._stub = (client, self._new_stub(client))
        return self._stub[1]

    def _new_stub(self, client: GrpcClient) -> Any:
        kind, owner = self.stub_class, type(self).__name__
        if kind is None:
            raise ConfigurationError(
                f"{owner} has no stub_class; set it to the generated class, as"
                " stub_class = greeter_pb2_grpc.GreeterStub, or call by name:"
                ' self.client.call("pkg.Service/Method", {...})'
            )
        try:
            return kind(client.channel)
        except TypeError as error:
            raise ConfigurationError(
                f"{owner}.stub_class is no generated stub class, but {kind!r}: {error}"
            ) from error
