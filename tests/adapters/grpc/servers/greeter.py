"""A grpc.aio server of ``test.Greeter`` on a free loopback port, in a process without gevent.

It prints its port; then each line "stats" on its input is answered by one line of JSON, as the
method Stats answers it. It ends with its input.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
from grpc_reflection.v1alpha import reflection, reflection_pb2

HERE = Path(__file__).parent


def generate(folder: str) -> None:
    """Write greeter_pb2.py and greeter_pb2_grpc.py."""
    from grpc_tools import protoc

    out = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(["protoc", f"-I{HERE}", *out, str(HERE / "greeter.proto")]):
        raise SystemExit("greeter.proto could not be compiled")


class Greeter:
    """The service, with its counters."""

    def __init__(self, pb2: Any) -> None:
        self.pb2 = pb2
        self.by_method: Counter[str] = Counter()
        self.active = self.cancelled = self.counted = 0
        self.peers: set[str] = set()
        self.meetings: dict[int, asyncio.Barrier] = {}

    @contextlib.contextmanager
    def seen(self, method: str, context: Any) -> Iterator[None]:
        """Count a call from its begin to its end."""
        self.by_method[method] += 1
        self.peers.add(context.peer())
        self.active += 1
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.active -= 1

    async def SayHello(self, request: Any, context: Any) -> Any:
        with self.seen("SayHello", context):
            await self.return_metadata(context)
            context.set_trailing_metadata((("served-by", "greeter"),))
            return self.pb2.HelloReply(message=await self.answer(request.name, context))

    async def return_metadata(self, context: Any) -> None:
        """Send what begins with "x-" back, before anything else."""
        pairs = context.invocation_metadata() or ()
        await context.send_initial_metadata(tuple(p for p in pairs if p[0].startswith("x-")))

    async def answer(self, text: str, context: Any) -> str:
        """What the name or text asks for."""
        word, _, number = text.partition(" ")
        if text == "fail":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
        if word == "sleep":
            await asyncio.sleep(float(number))
        if word == "meet":  # it is answered when so many calls of it are under way
            parties = int(number)
            await self.meetings.setdefault(parties, asyncio.Barrier(parties)).wait()
        return "x" * int(number) if word == "size" else f"Hello, {text}"

    async def Count(self, request: Any, context: Any) -> AsyncIterator[Any]:
        with self.seen("Count", context):
            await self.return_metadata(context)
            for number in range(1, request.to + 1):
                if number == request.fail_at:
                    await context.abort(grpc.StatusCode.DATA_LOSS, "the count was lost")
                yield self.pb2.Number(number=number, ballast=bytes(request.ballast))
                self.counted += 1
                if request.gap_ms:
                    await asyncio.sleep(request.gap_ms / 1000)

    async def Sum(self, requests: AsyncIterator[Any], context: Any) -> Any:
        with self.seen("Sum", context):
            await self.return_metadata(context)
            total = 0
            async for request in requests:
                if request.number == -1:
                    refusal = grpc.StatusCode.INVALID_ARGUMENT
                    await context.abort(refusal, "no negative numbers")
                total += request.number
            return self.pb2.Total(total=total)

    async def Talk(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        with self.seen("Talk", context):
            await self.return_metadata(context)
            async for request in requests:
                if request.text == "end":
                    return
                await self.answer(request.text, context)
                yield self.pb2.Text(text=request.text)

    async def Stats(self, request: Any, context: Any) -> Any:
        del request, context
        return self.pb2.StatsReply(**self.stats())

    def stats(self) -> dict[str, Any]:
        """What was seen until now."""
        links = psutil.Process().net_connections(kind="tcp")
        return {
            "calls": self.by_method.total(),
            "cancelled": self.cancelled,
            "active": self.active,
            "connections": sum(link.status == psutil.CONN_ESTABLISHED for link in links),
            "peers": len(self.peers),
            "by_method": dict(self.by_method),
            "counted": self.counted,
        }


def reflect(server: Any, versions: list[str]) -> None:
    """Offer reflection; the messages of v1 are those of v1alpha, byte by byte."""
    names = ["test.Greeter", *(f"grpc.reflection.{one}.ServerReflection" for one in versions)]
    servicer = reflection.aio.ReflectionServicer(service_names=names)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for service in names[1:]:
        handler = grpc.method_handlers_generic_handler(service, {"ServerReflectionInfo": method})
        server.add_generic_rpc_handlers((handler,))


def listen(server: Any, given: argparse.Namespace) -> int:
    """Bind to the loopback; the port."""
    address = f"127.0.0.1:{given.port}"
    if not given.tls:
        return server.add_insecure_port(address)
    chain = Path(given.tls).read_bytes()
    clients = Path(given.client_ca).read_bytes() if given.client_ca else None
    credentials = grpc.ssl_server_credentials([(chain, chain)], clients, clients is not None)
    return server.add_secure_port(address, credentials)


async def serve(given: argparse.Namespace) -> None:
    """Serve until the input ends."""
    pb2 = importlib.import_module("greeter_pb2")
    stubs = importlib.import_module("greeter_pb2_grpc")
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    greeter = Greeter(pb2)
    stubs.add_GreeterServicer_to_server(greeter, server)
    reflect(server, given.reflection)
    port = listen(server, given)
    await server.start()
    print(port, flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(greeter.stats()), flush=True)
    await server.stop(None)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0)
    add("--stubs", help="a folder with generated stubs; without it they are generated")
    add("--tls", metavar="PEM", help="a file with private key and certificate chain")
    add("--client-ca", metavar="PEM", help="ask clients for a certificate that this one issued")
    both = ["v1", "v1alpha"]
    add("--no-reflection", dest="reflection", action="store_const", const=[], default=both)
    add("--v1-only", dest="reflection", action="store_const", const=both[:1])
    add("--v1alpha-only", dest="reflection", action="store_const", const=both[1:])
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    with tempfile.TemporaryDirectory() as folder:
        if not given.stubs:
            generate(folder)
        sys.path.insert(0, given.stubs or folder)
        asyncio.run(serve(given))
