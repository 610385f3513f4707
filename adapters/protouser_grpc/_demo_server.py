"""A greeter with reflection for the demonstration.

Run by the servers' process; it imports grpc alone. Its few messages are described here, so that no
generated code, and no version of a generator, comes with the demonstration.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc as untyped_grpc
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection

__all__ = ["serve"]

grpc: Any = untyped_grpc
_SERVICE = "demo.Greeter"


async def serve() -> AsyncIterator[dict[str, str]]:
    """Greet on a free port until the generator goes on."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    pool = DescriptorPool()
    pool.AddSerializedFile(_description().SerializeToString())
    server.add_generic_rpc_handlers((_handlers(pool),))
    reflection.enable_server_reflection([_SERVICE, reflection.SERVICE_NAME], server, pool=pool)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield {"greeter": f"grpc://127.0.0.1:{port}"}
    await server.stop(None)


def _description() -> FileDescriptorProto:
    file = FileDescriptorProto(name="demo.proto", package="demo", syntax="proto3")
    for message, field in (("Person", "name"), ("Greeting", "message"), ("Line", "text")):
        file.message_type.add(name=message).field.add(
            name=field,
            number=1,
            type=FieldDescriptorProto.TYPE_STRING,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
        )
    methods = file.service.add(name="Greeter").method
    methods.add(
        name="Hello",
        input_type=".demo.Person",
        output_type=".demo.Greeting",
    )
    methods.add(
        name="Talk",
        input_type=".demo.Line",
        output_type=".demo.Line",
        client_streaming=True,
        server_streaming=True,
    )
    return file


def _handlers(pool: DescriptorPool) -> Any:
    request, reply, line = (
        GetMessageClass(pool.FindMessageTypeByName(f"demo.{name}"))
        for name in ("Person", "Greeting", "Line")
    )

    async def say_hello(request: Any, _context: Any) -> Any:
        return reply(message=f"Hello, {request.name}")

    async def talk(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield request

    unary = grpc.unary_unary_rpc_method_handler(
        say_hello, request.FromString, reply.SerializeToString
    )
    stream = grpc.stream_stream_rpc_method_handler(talk, line.FromString, line.SerializeToString)
    return grpc.method_handlers_generic_handler(_SERVICE, {"Hello": unary, "Talk": stream})
